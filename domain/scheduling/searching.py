"""A good schedule in a bounded number of passes: rules first, then what can be made of them.

Every pass is followed by double justification: to the right and back to the left, which never
makes a schedule longer and mostly shorter (Valls, Ballestín and Quintanilla, "Justification and
RCPSP: a technique that pays", 2005; forward-backward improvement of Tormos and Lova, 2001).
What passes are left recombine the best schedules (Hartmann, "A competitive genetic algorithm for
resource-constrained project scheduling", 1998): the best that Kolisch and Hartmann found in
"Experimental investigation of heuristics for resource-constrained project scheduling: an update",
2006, are of this kind. Chance is a row of numbers that is always the same: the same project has
always the same schedule.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from domain.scheduling.bounds import lower_bound
from domain.scheduling.generation import parallel, ranked, serial
from domain.scheduling.network import Network, Time
from domain.scheduling.priorities import RULES, latest_finish
from domain.scheduling.recombining import Chance, recombined
from domain.scheduling.rooms import PackedRooms, Rooms, rooms_for

QUICK: Final = 10_000
THOROUGH: Final = 100_000
"""Efforts, in placed activities: a few hundredths of a second, and less than one second."""

_SIZE = 40
"""How many schedules are recombined."""

_MOST_LISTED = 200
"""Beyond so many activities in listed rooms only the parallel scheme is quick enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A feasible schedule, and how far from the best it can be."""

    starts: tuple[Time, ...]
    """When each activity of the project starts."""

    makespan: Time
    bound: Time
    """What no schedule can go below."""

    passes: int
    """How many schedules were made on the way."""

    @property
    def is_optimal(self) -> bool:
        """Whether it is proved that there is no shorter one."""
        return self.makespan <= self.bound

    @property
    def gap(self) -> float:
        """By which share it may be longer than the shortest one, at the most."""
        return (self.makespan - self.bound) / self.bound if self.bound else 0.0


def search(project: Network, *, effort: int = THOROUGH) -> Found:
    """Return a good schedule of a project, always the same one."""
    first = single_pass(project)
    return first if first.is_optimal else _Search(project, first, effort).found()


def single_pass(project: Network) -> Found:
    """Return the schedule of one pass by latest finish: what others are measured against."""
    priorities = latest_finish(project)
    rooms = rooms_for(project, sum(project.durations))
    starts = (
        parallel(project, priorities)
        if _is_large(project, rooms)
        else serial(project, ranked(project, priorities), rooms)
    )
    assert starts is not None  # noqa: S101 # the horizon is all work, one after the other
    makespan = project.makespan_of(starts)
    return Found(starts=tuple(starts), makespan=makespan, bound=lower_bound(project), passes=1)


def _is_large(project: Network, rooms: Rooms) -> bool:
    return len(project) > _MOST_LISTED and not isinstance(rooms, PackedRooms)


def left_justified(project: Network, starts: Sequence[Time]) -> Sequence[Time]:
    """Return a schedule with every activity as early as the order of the starts allows.

    What can be carried out becomes no longer, and what cannot is put right.
    """
    placed = serial(project, ranked(project, starts), rooms_for(project, sum(project.durations)))
    assert placed is not None  # noqa: S101 # the horizon is all work, one after the other
    return placed


class _Search:
    def __init__(self, project: Network, first: Found, effort: int) -> None:
        self._project = project
        self._bound = first.bound
        self._left = effort
        self._passes = 1
        self._best: Sequence[Time] = first.starts
        self._makespan = first.makespan
        # A pass that is half as long again as the best one is not worth its end.
        horizon = self._makespan + self._makespan // 2
        self._rooms: dict[bool, Rooms] = {
            False: rooms_for(project, horizon),
            True: rooms_for(project.mirrored, horizon),
        }
        self._is_large = _is_large(project, self._rooms[False])

    def found(self) -> Found:
        """Search until the effort is used up, or nothing shorter can be found."""
        steps = self._steps()
        while self._left > 0 and self._makespan > self._bound:
            if next(steps, self) is self:
                break
        return Found(
            starts=tuple(self._best),
            makespan=self._makespan,
            bound=self._bound,
            passes=self._passes,
        )

    def _steps(self) -> Iterator[None]:
        pool: dict[tuple[int, ...], Time] = {}
        for starts in self._by_rules():
            self._add(pool, starts)
            yield
        if self._is_large:
            return
        chance = Chance()
        while True:
            parents = sorted(pool, key=lambda order: (pool[order], order))[:_SIZE]
            pool = {order: pool[order] for order in parents}
            for _ in range(_SIZE):
                order = recombined(self._project, parents, chance)
                placed = self._placed(order)
                if placed is not None:
                    self._add(pool, placed)
                yield

    def _by_rules(self) -> Iterator[Sequence[Time]]:
        """Yield what every rule makes of the project, by both schemes and in both directions."""
        project, mirror = self._project, self._project.mirrored
        for rule in RULES.values():
            yield self._counted(parallel(project, rule(project)))
            if self._is_large:
                continue
            backwards = (
                self._counted(parallel(mirror, rule(mirror))),
                self._placed(ranked(mirror, rule(mirror)), mirrored=True),
            )
            turned = [_last_first(mirror, starts) for starts in backwards if starts is not None]
            for order in (ranked(project, rule(project)), *turned):
                placed = self._placed(order)
                if placed is not None:
                    yield placed

    def _add(self, pool: dict[tuple[int, ...], Time], starts: Sequence[Time]) -> None:
        """Justify a schedule, and remember it."""
        better = starts if self._is_large else self._justified(starts)
        makespan = self._project.makespan_of(better)
        if makespan < self._makespan:
            self._best, self._makespan = better, makespan
        pool[tuple(_first_first(better))] = makespan

    def _justified(self, starts: Sequence[Time]) -> Sequence[Time]:
        right = self._placed(_last_first(self._project, starts), mirrored=True)
        if right is None:
            return starts
        left = self._placed(_last_first(self._project.mirrored, right))
        return starts if left is None else left

    def _placed(self, order: Sequence[int], *, mirrored: bool = False) -> list[Time] | None:
        project = self._project.mirrored if mirrored else self._project
        self._left -= len(project)
        self._passes += 1
        return serial(project, order, self._rooms[mirrored])

    def _counted(self, starts: list[Time]) -> list[Time]:
        self._left -= len(starts)
        self._passes += 1
        return starts


def _first_first(starts: Sequence[Time]) -> list[int]:
    return sorted(range(len(starts)), key=lambda each: (starts[each], each))


def _last_first(project: Network, starts: Sequence[Time]) -> list[int]:
    """Return the order in which the mirrored project places what ends last first."""
    last = len(starts) - 1
    durations = project.durations
    latest = sorted(range(len(starts)), key=lambda each: (-starts[each] - durations[each], -each))
    return [last - each for each in latest]
