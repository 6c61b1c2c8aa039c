"""A project as schedulers see it: activities, what comes before what, and limited resources.

This is the resource-constrained project scheduling problem (RCPSP) of Pritsker, Watters and Wolfe,
"Multiproject Scheduling with Limited Resources", 1969: an activity takes its time without a break,
begins when all that it needs have ended, and holds a constant amount of every resource meanwhile.
"""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from domain.errors import CyclicGraph, Refused, UnknownDependency

Time = int | float
"""Any unit: whole numbers are exact, and quicker to search."""


class DemandTooLarge(Refused):
    """An activity asks for more of a resource than there is."""

    code = "demand-too-large"

    def __init__(self, activity: str, resource: int, demand: int, capacity: int) -> None:
        super().__init__(
            f"activity {activity} demands {demand} of resource {resource + 1}; there are {capacity}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One piece of work."""

    id: str
    duration: Time
    needs: tuple[str, ...] = ()
    demand: tuple[int, ...] = ()
    """How much of each resource it holds while it runs; of further ones, nothing."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A project, numbered so that every activity comes after what it needs."""

    ids: tuple[str, ...]
    durations: tuple[Time, ...]
    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]
    demands: tuple[tuple[int, ...], ...]
    capacities: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def mirrored(self) -> "Network":
        """The project run backwards in time; activity ``n`` is the last but ``n`` there."""
        last = len(self) - 1

        def turned(edges: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
            return tuple(tuple(sorted(last - each for each in row)) for row in reversed(edges))

        return Network(
            ids=self.ids[::-1],
            durations=self.durations[::-1],
            before=turned(self.after),
            after=turned(self.before),
            demands=self.demands[::-1],
            capacities=self.capacities,
        )

    @cached_property
    def unit(self) -> int:
        """The largest whole number of which every duration is a multiple; 0 where there is none."""
        whole = [each for each in self.durations if isinstance(each, int)]
        return math.gcd(*whole) if len(whole) == len(self) else 0

    @cached_property
    def earliest(self) -> tuple[Time, ...]:
        """When each activity can start if resources never lack."""
        starts: list[Time] = []
        for needed in self.before:
            starts.append(max((starts[n] + self.durations[n] for n in needed), default=0))
        return tuple(starts)

    @cached_property
    def tails(self) -> tuple[Time, ...]:
        """The longest chain of durations that begins with each activity, its own included."""
        tails: list[Time] = [0] * len(self)
        for each in reversed(range(len(self))):
            following = max((tails[f] for f in self.after[each]), default=0)
            tails[each] = self.durations[each] + following
        return tuple(tails)

    def makespan_of(self, starts: Sequence[Time]) -> Time:
        """Return when the last activity ends."""
        return max(map(_added, starts, self.durations), default=0)


def _added(start: Time, duration: Time) -> Time:
    return start + duration


def network(activities: Sequence[Activity], capacities: Sequence[int] = ()) -> Network:
    """Return a project ready to be scheduled, the same one whatever the order of the activities.

    Raises:
        CyclicGraph: Some activities wait for each other.
        DemandTooLarge: An activity can never run.
        UnknownDependency: An activity needs one that there is not.
    """
    by_id = {each.id: each for each in activities}
    missing = [(a.id, need) for a in activities for need in a.needs if need not in by_id]
    if missing:
        raise UnknownDependency(sorted(missing))
    followers: dict[str, list[str]] = {name: [] for name in by_id}
    for each in activities:
        for need in sorted(set(each.needs)):
            followers[need].append(each.id)
    ids = _numbered(by_id, followers)
    place = {name: count for count, name in enumerate(ids)}
    return Network(
        ids=tuple(ids),
        durations=tuple(by_id[name].duration for name in ids),
        before=tuple(tuple(sorted({place[n] for n in by_id[name].needs})) for name in ids),
        after=tuple(tuple(sorted(place[f] for f in followers[name])) for name in ids),
        demands=tuple(_demand(by_id[name], capacities) for name in ids),
        capacities=tuple(capacities),
    )


def _numbered(
    by_id: Mapping[str, Activity], followers: Mapping[str, Sequence[str]]
) -> Sequence[str]:
    unmet = {name: len(set(each.needs)) for name, each in by_id.items()}
    free = [name for name, count in unmet.items() if not count]
    heapq.heapify(free)
    ids: list[str] = []
    while free:
        ids.append(heapq.heappop(free))
        for follower in followers[ids[-1]]:
            unmet[follower] -= 1
            if not unmet[follower]:
                heapq.heappush(free, follower)
    if len(ids) < len(by_id):
        raise CyclicGraph(sorted(name for name, count in unmet.items() if count))
    return ids


def _demand(each: Activity, capacities: Sequence[int]) -> tuple[int, ...]:
    for resource, asked in enumerate(each.demand):
        capacity = capacities[resource] if resource < len(capacities) else 0
        if asked > capacity:
            raise DemandTooLarge(each.id, resource, asked, capacity)
    said = each.demand[: len(capacities)]
    return (*said, *(0 for _ in capacities[len(said) :]))
