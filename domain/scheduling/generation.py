"""From priorities to schedules: the serial and the parallel scheme.

Kolisch, "Serial and parallel resource-constrained project scheduling methods revisited", 1996: the
serial scheme takes one activity after the other and starts it as early as it fits, the parallel one
goes through time and starts what fits, the most urgent first. The serial one can reach an optimum
always; the parallel one never leaves a resource idle, which pays where resources are scarce.
"""

import heapq
from collections.abc import Iterable, Sequence

from domain.scheduling.network import Network, Time
from domain.scheduling.rooms import Rooms


def serial(project: Network, order: Iterable[int], rooms: Rooms) -> list[Time] | None:
    """Return the starts when activities are placed in an order that respects every edge.

    None where the rooms end before the project does.
    """
    room = rooms.empty()
    durations, before = project.durations, project.before
    starts: list[Time] = [0] * len(project)
    ends: list[Time] = [0] * len(project)
    for each in order:
        earliest: Time = 0
        for need in before[each]:
            if ends[need] > earliest:
                earliest = ends[need]
        start = room.take(each, earliest)
        if start is None:
            return None
        starts[each] = start
        ends[each] = start + durations[each]
    return starts


def ranked(project: Network, priorities: Sequence[Time]) -> list[int]:
    """Return the activities by priority, the smallest first, but none before what it needs."""
    unmet = [len(needed) for needed in project.before]
    free = [(priorities[each], each) for each, count in enumerate(unmet) if not count]
    heapq.heapify(free)
    order: list[int] = []
    while free:
        _, each = heapq.heappop(free)
        order.append(each)
        for follower in project.after[each]:
            unmet[follower] -= 1
            if not unmet[follower]:
                heapq.heappush(free, (priorities[follower], follower))
    return order


def parallel(project: Network, priorities: Sequence[Time]) -> list[Time]:
    """Return the starts when at any moment whatever fits is started, the smallest priority first.

    What waits is kept apart by what it demands, so that a moment costs as much as it starts.
    """
    free = list(project.capacities)
    unmet = [len(needed) for needed in project.before]
    waiting: dict[tuple[int, ...], list[tuple[Time, int]]] = {}
    starts: list[Time] = [0] * len(project)
    running: list[tuple[Time, int]] = []
    now: Time = 0
    freed = [each for each, count in enumerate(unmet) if not count]
    while True:
        for each in freed:
            line = waiting.setdefault(project.demands[each], [])
            heapq.heappush(line, (priorities[each], each))
        for each in _started(waiting, free):
            starts[each] = now
            heapq.heappush(running, (now + project.durations[each], each))
        if not running:
            return starts
        now = running[0][0]
        freed = list[int]()
        while running and running[0][0] == now:
            _, each = heapq.heappop(running)
            for resource, held in enumerate(project.demands[each]):
                free[resource] += held
            for follower in project.after[each]:
                unmet[follower] -= 1
                if not unmet[follower]:
                    freed.append(follower)


def _started(
    waiting: dict[tuple[int, ...], list[tuple[Time, int]]], free: list[int]
) -> Iterable[int]:
    """Yield what fits now, and take its resources."""
    # What does not fit now, does not fit after another has started either.
    fronts = [
        (line[0], demand)
        for demand, line in waiting.items()
        if all(asked <= has for asked, has in zip(demand, free, strict=True))
    ]
    heapq.heapify(fronts)
    while fronts:
        (_, each), demand = heapq.heappop(fronts)
        if any(asked > has for asked, has in zip(demand, free, strict=True)):
            continue
        for resource, asked in enumerate(demand):
            free[resource] -= asked
        heapq.heappop(waiting[demand])
        if waiting[demand]:
            heapq.heappush(fronts, (waiting[demand][0], demand))
        else:
            del waiting[demand]
        yield each
