"""Which of the tasks that could start come first: those that can slip least.

Of tasks that are ready at one moment, the one with the longest chain behind it has the least
slack, whatever the moment is. So a number that a task is given once says it for the whole run.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from domain.tasks import Task

CLASSES: Final = 16
"""How many degrees there are: within one, tasks go in the order in which they became ready."""

SETBACK: Final = 4
"""By how many degrees a task is less urgent after an attempt that failed or was lost."""


def tails_of(tasks: Sequence[Task]) -> Mapping[str, float]:
    """Return the seconds of the longest chain that begins with each task, through these only.

    Tasks that wait for each other have none; edges to other tasks do not count.
    """
    known = {task.id: task for task in tasks}
    waiting = dict.fromkeys(known, 0)
    for task in tasks:
        for need in task.needs:
            if need in waiting:
                waiting[need] += 1
    behind = dict.fromkeys(known, 0.0)
    tails: dict[str, float] = {}
    front = [name for name, count in waiting.items() if not count]
    while front:
        name = front.pop()
        task = known[name]
        tail = tails[name] = behind[name] + task.duration.total_seconds()
        for need in task.needs:
            if need in waiting:
                behind[need] = max(behind[need], tail)
                waiting[need] -= 1
                if not waiting[need]:
                    front.append(need)
    return tails


def urgencies(tails: Mapping[str, float], span: float) -> Mapping[str, int]:
    """Return the degree of each task of a run that takes so long: 0 is on the critical path."""
    if span <= 0:
        return dict.fromkeys(tails, 0)
    return {name: _degree(tail / span) for name, tail in tails.items()}


def _degree(share: float) -> int:
    return min(CLASSES - 1, max(0, int(CLASSES * (1 - share))))
