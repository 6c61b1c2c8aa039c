"""What a schedule promises, as a graph: the needs, and who has to end before an agent is free."""

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from domain.graph import order
from domain.run_options import RunOptions
from domain.scheduling.schedules import Schedule
from domain.tasks import Task

Ticks = int
"""Microseconds: whole, so that sums are exact."""

TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One task: what it waits for, and how long it takes."""

    task: Task
    rank: int
    """It comes after everything it waits for."""

    after: tuple[str, ...]
    """What it needs, and what holds the agent that it is given."""

    duration: Ticks


def promises_of(
    tasks: Sequence[Task], schedule: Schedule, options: RunOptions
) -> Mapping[str, Promise]:
    """Return what a schedule says of each task, in an order that respects every wait."""
    ticks = {name: round(start * 1_000_000) for name, start in schedule.starts.items()}
    durations = {task.id: task.duration // TICK for task in tasks}
    # Where no time passes between two tasks, their edges decide.
    place = {name: count for count, name in enumerate(order(tasks))}
    ends = {name: start + durations[name] for name, start in ticks.items()}
    ordered = sorted(tasks, key=lambda task: (ticks[task.id], ends[task.id], place[task.id]))
    lines: dict[str, list[tuple[Ticks, str]]] = {}
    promises: dict[str, Promise] = {}
    for rank, task in enumerate(ordered):
        waits = set(task.needs)
        line = "" if options.execution_mode == "sequential" else task.agent
        most = 1 if not line else schedule.agents.get(line)
        if most is not None and durations[task.id]:
            holder = _holder(lines.setdefault(line, []), most, ticks[task.id])
            waits |= {holder} if holder else set()
            insort(lines[line], (ends[task.id], task.id))
        promises[task.id] = Promise(
            task=task, rank=rank, after=tuple(sorted(waits)), duration=durations[task.id]
        )
    return promises


def _holder(line: list[tuple[Ticks, str]], most: int, start: Ticks) -> str | None:
    """Take the agent that has become free last, and return the task that it had; a new one first.

    Whoever is scheduled as early as possible starts when it becomes free, or when a need ends.
    """
    if len(line) < most:
        return None
    return line.pop(bisect_right(line, (start, "\U0010ffff")) - 1)[1]
