"""Lower bounds: what no schedule can go below."""

from collections.abc import Iterable, Sequence

from domain.scheduling.network import Network, Time


def lower_bound(project: Network) -> Time:
    """Return a time before which no schedule of the project ends.

    The largest of three bounds: the critical path; the work of each resource, between the least
    time before and after it; and activities of which no two fit together, as one machine's work
    (Mingozzi, Maniezzo, Ricciardelli and Bianco, "An exact algorithm for the resource-constrained
    project scheduling problem", 1998; Baptiste, Le Pape and Nuijten, "Satisfiability tests and
    time-bound adjustments for cumulative scheduling problems", 1999).
    """
    bound = max(map(_sum, project.earliest, project.tails), default=0)
    for resource, capacity in enumerate(project.capacities):
        work = [
            _job(project, each, demand[resource])
            for each, demand in enumerate(project.demands)
            if demand[resource]
        ]
        alone = [
            _job(project, each, 1)
            for each, demand in enumerate(project.demands)
            if demand[resource] * 2 > capacity
        ]
        bound = max(bound, _bound_of(work, capacity), _bound_of(alone, 1))
    # In a shortest schedule everything starts at the beginning or when something ends.
    return -(-bound // project.unit) * project.unit if project.unit else bound


_Job = tuple[Time, Time, Time]
"""What comes before it at the least, its work, and what comes after it at the least."""

_MOST = 300
"""Beyond so many activities of a resource only all of them together are looked at."""


def _job(project: Network, each: int, demand: int) -> _Job:
    duration = project.durations[each]
    return project.earliest[each], duration * demand, project.tails[each] - duration


def _bound_of(jobs: Sequence[_Job], capacity: int) -> Time:
    """Return the most that any set of jobs with late heads and long tails needs."""
    heads = sorted({head for head, _, _ in jobs})
    by_tail = sorted(jobs, key=lambda job: -job[2])
    if len(jobs) > _MOST:
        heads = heads[:1]
    return max((_reached(head, by_tail, capacity) for head in heads), default=0)


def _reached(head: Time, by_tail: Iterable[_Job], capacity: int) -> Time:
    reached: Time = 0
    work: Time = 0
    for earliest, more, tail in by_tail:
        if earliest >= head:
            work += more
            reached = max(reached, head + _shared(work, capacity) + tail)
    return reached


def _shared(work: Time, capacity: int) -> Time:
    """Return the time that work takes at the least: whole, where all times are."""
    return -(-work // capacity) if isinstance(work, int) else work / capacity


def _sum(head: Time, tail: Time) -> Time:
    return head + tail
