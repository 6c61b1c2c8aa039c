"""Events of steering, so that a test says only what matters to it."""

from domain.run_events import (
    RunReport,
    TaskSkipped,
)
from domain.steering import (
    RunCheckpointed,
    RunPaused,
    RunResumed,
    RunRolledBack,
    TaskReopened,
)
from tests.support.making import (
    PLAN_ID,
    RUN_ID,
    after,
    failed,
    requested,
    task,
)
from tests.support.scenario import NOW

CHAIN = requested(task("a"), task("b", "a"), task("c", "b"))
PAIR = requested(task("a"), task("b"))
DIAMOND = requested(task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c"))
FAILED_A = failed("a", error_class="business")


def checkpointed(number: int = 1, *, done: int = 0) -> RunCheckpointed:
    return RunCheckpointed(
        run_id=RUN_ID, checkpoint=f"checkpoint_{number:03d}", at=NOW, completed=done
    )


def paused(number: int = 1, reason: str = "") -> RunPaused:
    return RunPaused(
        run_id=RUN_ID,
        plan_id=PLAN_ID,
        kind="execution",
        checkpoint=f"checkpoint_{number:03d}",
        reason=reason,
    )


def resumed(checkpoint: str | None = "checkpoint_001") -> RunResumed:
    return RunResumed(run_id=RUN_ID, plan_id=PLAN_ID, kind="execution", checkpoint=checkpoint)


def rolled_back(*tasks: str, stay: int = 0, skipped: int = 0, to: int = 1) -> RunRolledBack:
    return RunRolledBack(
        run_id=RUN_ID,
        plan_id=PLAN_ID,
        kind="execution",
        checkpoint=f"checkpoint_{to:03d}",
        reason="",
        tasks=tasks,
        completed=stay,
        skipped=skipped,
    )


def reopened(task_id: str, *tasks: str, failed: int = 0, cancelled: int = 0) -> TaskReopened:
    return TaskReopened(
        run_id=RUN_ID, task_id=task_id, tasks=tasks, failed=failed, cancelled=cancelled, reason=""
    )


def waived(task_id: str, was: str, reason: str = "") -> TaskSkipped:
    return TaskSkipped.model_validate(
        {"run_id": RUN_ID, "task_id": task_id, "because": None, "was": was, "reason": reason}
    )


def types_after(*reports: RunReport) -> list[str]:
    """Return what the last of some reports led to."""
    before = len(after(*reports[:-1]))
    return [event.type for event in after(*reports)[before:]]
