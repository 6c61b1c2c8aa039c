"""Durations from the log, where it has seen the work often enough, and from the rules elsewhere.

Costs stay those of the rules: what an hour of a domain costs is not in the log.
"""

from collections.abc import Sequence
from datetime import timedelta

from domain.estimates import BY_RULE, ENOUGH, Effort, by_log
from domain.tasks import Task


def estimated(tasks: Sequence[Task], history: Sequence[Effort]) -> tuple[Task, ...]:
    """Return tasks with durations that say where they come from."""
    known = {(each.agent, each.action): each for each in history if each.count >= ENOUGH}
    return tuple(_estimated(task, known.get((task.agent, task.action))) for task in tasks)


def _estimated(task: Task, effort: Effort | None) -> Task:
    if effort is None:
        return task.model_copy(update={"estimate": BY_RULE})
    return task.model_copy(
        update={"duration": timedelta(seconds=effort.p50), "estimate": by_log(effort)}
    )
