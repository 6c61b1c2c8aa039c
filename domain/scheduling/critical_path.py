"""The critical path method: when each task can and must start, and what slack it has.

Kelley and Walker, "Critical-Path Planning and Scheduling", 1959: a forward pass gives the earliest
times, a backward pass the latest ones; a task without slack is critical. Agents are unlimited here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from domain.graph import order
from domain.tasks import Task


class Timing(NamedTuple):
    """When one task can and must run, in seconds from the start of the run."""

    earliest_start: float
    earliest_finish: float
    latest_start: float
    latest_finish: float
    free_slack: float
    """How many seconds it may slip without moving any other task."""

    @property
    def slack(self) -> float:
        """How many seconds it may slip without moving the end."""
        return self.latest_start - self.earliest_start


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticalPath:
    """What the graph alone says about time."""

    timings: Mapping[str, Timing]
    path: tuple[str, ...]
    """One longest path, from a root to the end; of equally long ones the least ids."""

    makespan: float
    """Seconds from start to end when no task ever waits for an agent."""

    work: float
    """Seconds of all tasks together."""

    @property
    def parallelization_ratio(self) -> float:
        """The share of the work that can overlap: 0 in a chain, towards 1 when all runs at once."""
        return 1 - self.makespan / self.work if self.work else 0.0


def critical_path(tasks: Sequence[Task]) -> CriticalPath:
    """Return the timing of every task and a longest path.

    Raises:
        CyclicGraph: Some tasks wait for each other.
    """
    names = [task.id for task in tasks]
    place = {name: count for count, name in enumerate(names)}
    seconds = [task.duration.total_seconds() for task in tasks]
    # An edge that is said twice does not change a time: no need to sort them out as ``needs`` does.
    needs = [
        [place[need] for need in (*task.depends_on, *task.inputs.values())]
        if task.inputs
        else [place[need] for need in task.depends_on]
        for task in tasks
    ]
    after: list[list[int]] = [[] for _ in names]
    for each, needed in enumerate(needs):
        for need in needed:
            after[need].append(each)
    start, finish, ordered = _earliest(needs, after, seconds)
    if len(ordered) < len(names):
        order(tasks)  # says which tasks wait for each other
    makespan = max(finish, default=0.0)
    last_start, free = _latest(after, seconds, start, finish, ordered, makespan)
    return CriticalPath(
        timings={
            names[each]: Timing(
                start[each],
                finish[each],
                last_start[each],
                last_start[each] + seconds[each],
                free[each],
            )
            for each in ordered
        },
        path=_longest(names, needs, finish),
        makespan=makespan,
        work=sum(seconds),
    )


def _earliest(
    needs: Sequence[Sequence[int]], after: Sequence[Sequence[int]], seconds: Sequence[float]
) -> tuple[list[float], list[float], list[int]]:
    """Return the earliest starts and finishes, and an order that respects every edge."""
    unmet = [len(needed) for needed in needs]
    start = [0.0] * len(needs)
    finish = [0.0] * len(needs)
    ordered = [each for each, count in enumerate(unmet) if not count]
    for each in ordered:  # grows while it is walked
        ended = finish[each] = start[each] + seconds[each]
        for follower in after[each]:
            if ended > start[follower]:
                start[follower] = ended
            unmet[follower] -= 1
            if not unmet[follower]:
                ordered.append(follower)
    return start, finish, ordered


def _latest(
    after: Sequence[Sequence[int]],
    seconds: Sequence[float],
    start: Sequence[float],
    finish: Sequence[float],
    ordered: Sequence[int],
    makespan: float,
) -> tuple[list[float], list[float]]:
    """Return the latest starts and the free slacks."""
    last_start = [0.0] * len(after)
    free = [0.0] * len(after)
    for each in reversed(ordered):
        latest = next_start = makespan
        for follower in after[each]:
            if last_start[follower] < latest:
                latest = last_start[follower]
            if start[follower] < next_start:
                next_start = start[follower]
        last_start[each] = latest - seconds[each]
        free[each] = next_start - finish[each]
    return last_start, free


def _longest(
    names: Sequence[str], needs: Sequence[Sequence[int]], finish: Sequence[float]
) -> tuple[str, ...]:
    """Walk back from the task that ends last, always to the need that ended last."""

    def lateness(each: int) -> tuple[float, str]:
        return (-finish[each], names[each])

    path: list[str] = []
    each = min(range(len(names)), key=lateness, default=None)
    while each is not None:
        path.append(names[each])
        each = min(needs[each], key=lateness, default=None)
    return tuple(reversed(path))
