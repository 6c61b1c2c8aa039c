"""The critical path method: when each task can and must start, and what slack it has.

Kelley and Walker, "Critical-Path Planning and Scheduling", 1959: a forward pass gives the earliest
times, a backward pass the latest ones; a task without slack is critical. Agents are unlimited here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.graph import order, successors
from domain.tasks import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When one task can and must run, in seconds from the start of the run."""

    earliest_start: float
    earliest_finish: float
    latest_start: float
    latest_finish: float

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
    by_id = {task.id: task for task in tasks}
    seconds = {task.id: task.duration.total_seconds() for task in tasks}
    ordered = order(tasks)
    after = successors(tasks)
    start: dict[str, float] = {}
    finish: dict[str, float] = {}
    for name in ordered:
        start[name] = max((finish[need] for need in by_id[name].needs), default=0.0)
        finish[name] = start[name] + seconds[name]
    makespan = max(finish.values(), default=0.0)
    last_start: dict[str, float] = {}
    last_finish: dict[str, float] = {}
    for name in reversed(ordered):
        last_finish[name] = min(
            (last_start[follower] for follower in after.get(name, ())), default=makespan
        )
        last_start[name] = last_finish[name] - seconds[name]
    return CriticalPath(
        timings={
            name: Timing(
                earliest_start=start[name],
                earliest_finish=finish[name],
                latest_start=last_start[name],
                latest_finish=last_finish[name],
            )
            for name in ordered
        },
        path=_longest(by_id, finish),
        makespan=makespan,
        work=sum(seconds.values()),
    )


def _longest(by_id: Mapping[str, Task], finish: Mapping[str, float]) -> tuple[str, ...]:
    """Walk back from the task that ends last, always to the need that ended last."""

    def lateness(name: str) -> tuple[float, str]:
        return (-finish[name], name)

    path: list[str] = []
    name = min(finish, key=lateness, default=None)
    while name is not None:
        path.append(name)
        name = min(by_id[name].needs, key=lateness, default=None)
    return tuple(reversed(path))
