"""Where an activity still fits: how much of every resource is free when.

Two rooms answer alike. ``PackedRoom`` keeps the whole time line in one long number, a lane a time
step, so that one subtraction asks every step at once whether a demand fits; it takes whole numbers
and a short time line. ``ListedRoom`` keeps the moments at which something changes, and takes any.
"""

from bisect import bisect_right
from typing import Protocol

from domain.scheduling.network import Network, Time

MOST_LANES = 4_096
"""Beyond so many time steps the long numbers are slower than a list."""


MOST_PACKED = 2_000
"""Activities; a time line that holds more of them is too long in any case."""


class Room(Protocol):
    """What is free, while a schedule grows."""

    def take(self, each: int, earliest: Time) -> Time | None:
        """Place an activity as early as it fits and return its start; None where it does not."""
        ...


class Rooms(Protocol):
    """Empty rooms for the activities of one project."""

    def empty(self) -> Room:
        """Return a room with nothing in it."""
        ...


class ListedRooms:
    """Rooms for any project, without an end."""

    def __init__(self, project: Network) -> None:
        self._project = project

    def empty(self) -> "ListedRoom":
        """Return a room with nothing in it."""
        return ListedRoom(self._project)


class ListedRoom:
    """What is free from each moment of change on."""

    def __init__(self, project: Network) -> None:
        self._durations = project.durations
        self._demands = [
            tuple((r, d) for r, d in enumerate(demand) if d) for demand in project.demands
        ]
        self._moments: list[Time] = [0]
        self._free: list[list[int]] = [list(project.capacities)]

    def take(self, each: int, earliest: Time) -> Time:
        """Place an activity as early as it fits and return its start."""
        demand, duration = self._demands[each], self._durations[each]
        if not demand or not duration:
            return earliest
        moments, free = self._moments, self._free
        start = earliest
        place = bisect_right(moments, start) - 1
        while place < len(moments) and moments[place] < start + duration:
            row = free[place]
            if any(row[resource] < asked for resource, asked in demand):
                # From the last moment on everything is free, so there is a next one.
                start = moments[place + 1]
            place += 1
        begin, end = self._cut(start), self._cut(start + duration)
        for row in free[begin:end]:
            for resource, asked in demand:
                row[resource] -= asked
        return start

    def _cut(self, moment: Time) -> int:
        """Return the place of a moment, which is a moment of change from now on."""
        place = bisect_right(self._moments, moment) - 1
        if self._moments[place] != moment:
            place += 1
            self._moments.insert(place, moment)
            self._free.insert(place, list(self._free[place - 1]))
        return place


class PackedRooms:
    """Rooms for whole numbers, with an end: what would run beyond it does not fit.

    A lane has a field for every resource, with one bit more than the capacity needs: it is set
    always, and borrowed from by the subtraction of a demand that does not fit.
    """

    def __init__(self, project: Network, horizon: int) -> None:
        self.unit = project.unit or 1
        self.lanes = horizon // self.unit
        fields = [capacity.bit_length() + 1 for capacity in project.capacities]
        offsets = [sum(fields[:resource]) for resource in range(len(fields))]
        guards = [offset + field - 1 for offset, field in zip(offsets, fields, strict=True)]
        self.width = width = sum(fields) or 1
        every = _ones(width, self.lanes)
        lane = sum(
            (capacity << offset) | (1 << guard)
            for capacity, offset, guard in zip(project.capacities, offsets, guards, strict=True)
        )
        self.free = lane * every
        self.every = every
        self.steps = [int(each) // self.unit for each in project.durations]
        packed = [
            sum(asked << offset for asked, offset in zip(demand, offsets, strict=True))
            for demand in project.demands
        ]
        # Many activities are alike: their long numbers are kept once.
        asked = {each: each * every for each in set(packed)}
        alike = set(zip(packed, self.steps, strict=True))
        blocks = {(e, steps): e * _ones(width, steps) for e, steps in alike}
        self.asked = [asked[each] for each in packed]
        self.blocks = [blocks[each] for each in zip(packed, self.steps, strict=True)]
        self.guards = [
            tuple(guard for guard, asked in zip(guards, demand, strict=True) if asked)
            for demand in project.demands
        ]

    def empty(self) -> "PackedRoom":
        """Return a room with nothing in it."""
        return PackedRoom(self)


class PackedRoom:
    """What is free in every step, as one number."""

    def __init__(self, rooms: PackedRooms) -> None:
        self._rooms = rooms
        self._free = rooms.free

    def take(self, each: int, earliest: Time) -> Time | None:
        """Place an activity as early as it fits and return its start; None where it does not."""
        rooms = self._rooms
        first, steps, width = int(earliest) // rooms.unit, rooms.steps[each], rooms.width
        guards = rooms.guards[each]
        if not guards or not steps:
            return earliest if first + steps <= rooms.lanes else None
        left = self._free - rooms.asked[each]
        fits = rooms.every
        for guard in guards:
            fits &= left >> guard
        fits >>= first * width
        reach = 1
        while reach < steps:
            further = min(reach, steps - reach)
            fits &= fits >> further * width
            reach += further
        if not fits:
            return None
        start = first + ((fits & -fits).bit_length() - 1) // width
        self._free -= rooms.blocks[each] << start * width
        return start * rooms.unit


def _ones(width: int, lanes: int) -> int:
    """Return a number with the lowest bit of so many lanes set."""
    return ((1 << width * lanes) - 1) // ((1 << width) - 1)


def rooms_for(project: Network, horizon: Time) -> Rooms:
    """Return the quickest rooms for a project whose schedules end by a horizon."""
    if len(project) > MOST_PACKED or not project.unit or not isinstance(horizon, int):
        return ListedRooms(project)
    if horizon // project.unit > MOST_LANES:
        return ListedRooms(project)
    return PackedRooms(project, horizon)
