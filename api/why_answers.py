"""What is answered to the question why something is not done; the command answers the same."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel

from domain.causes import Step
from domain.values import RunStatus, TaskStatus
from projections.explain import Seen, Surroundings, explain, explain_all
from projections.unblock import commands, words

MOST_OTHERS: Final = 20
"""How many further causes are told, the worst first."""

MOST_STEPS: Final = 40
"""How many steps of a chain are told; of a longer one its two ends."""

_MOST_NAMES: Final = 100
_INNER: Final = re.compile(r"(?<!^)(?=[A-Z])")


class CauseAnswer(BaseModel):
    """One task, and why it is not done."""

    task_id: str
    cause: str
    """What kind of cause it is: ``waits_for``, ``paused``, ``no_agents`` …"""

    says: str
    """The same in words."""

    details: Mapping[str, Any]
    """What is known of the cause."""

    unblock: Sequence[str]
    """Commands that would make it go on; none, where it goes on by itself."""


class TaskWhy(BaseModel):
    """Why a task is not done."""

    execution_id: str
    execution_status: RunStatus
    task_id: str
    status: TaskStatus
    chain: Sequence[CauseAnswer]
    """From the task to the root cause; empty where the task is done."""

    left_out: int
    """How many steps in the middle of the chain are not told."""

    root: CauseAnswer | None
    """What has to go first: the end of the chain."""

    others: Sequence[CauseAnswer]
    """What else it waits for in the end: the first twenty, the worst first."""

    other_causes: int
    """How many of these there are."""


class RunWhy(BaseModel):
    """What an execution waits for."""

    execution_id: str
    status: RunStatus
    reason: str | None
    causes: Sequence[CauseAnswer]
    """What keeps the tasks that wait for no other one: the first twenty, the worst first."""

    total: int
    """How many of these were looked at."""


def why_task(seen: Seen, task_id: str, around: Surroundings) -> TaskWhy:
    """Return why a task is not done."""
    explanation = explain(seen, task_id, around)
    steps = explanation.steps if explanation else ()
    others = explanation.others if explanation else ()
    half = MOST_STEPS // 2
    told = steps if len(steps) <= MOST_STEPS else [*steps[:half], *steps[-half:]]
    chain = [_why(seen, step, around.now) for step in told]
    return TaskWhy(
        execution_id=seen.run.run_id,
        execution_status=seen.run.status,
        task_id=task_id,
        status=seen.tasks[task_id].status,
        chain=chain,
        left_out=len(steps) - len(told),
        root=chain[-1] if chain else None,
        others=[_why(seen, step, around.now) for step in others[:MOST_OTHERS]],
        other_causes=len(others),
    )


def why_run(seen: Seen, around: Surroundings) -> RunWhy:
    """Return what a run waits for."""
    steps = explain_all(seen, around)
    return RunWhy(
        execution_id=seen.run.run_id,
        status=seen.run.status,
        reason=seen.run.reason,
        causes=[_why(seen, step, around.now) for step in steps[:MOST_OTHERS]],
        total=len(steps),
    )


def _why(seen: Seen, step: Step, now: datetime) -> CauseAnswer:
    details = asdict(step.cause)
    if "tasks" in details:
        details["tasks"] = details["tasks"][:_MOST_NAMES]
    return CauseAnswer(
        task_id=step.task_id,
        cause=_INNER.sub("_", type(step.cause).__name__).lower(),
        says=words(step.cause, now),
        details=details,
        unblock=commands(seen.run.run_id, step),
    )
