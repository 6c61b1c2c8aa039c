"""Whether a plan takes the graph that its planners propose in the place of the one it has."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from domain.errors import Refused
from domain.graph import check
from domain.reviews import NotUnderReview, PlanReviewed
from domain.revisions import (
    MOST_NOTES,
    GraphRevised,
    PlanReplanning,
    PlanReplanRefused,
    PlanUpdated,
    ReplanningGivenUp,
    cost_of,
    delay_of,
    difference,
)
from domain.run_options import RunOptions
from domain.scheduling.schedules import schedule_of
from domain.tasks import Task


def answer_to(
    asked: PlanReplanning, report: GraphRevised | ReplanningGivenUp, options: RunOptions
) -> PlanUpdated | PlanReplanRefused:
    """Return the plan's next revision, or why it stays as it is."""
    if isinstance(report, ReplanningGivenUp):
        return _refused(asked, report.reason)
    try:
        check(report.tasks)
    except Refused as refusal:
        return _refused(asked, f"the planners proposed a graph that cannot be run: {refusal}")
    if lost := _lost(asked, report):
        return _refused(asked, f"what is done has to stay; the planners changed {', '.join(lost)}")
    change = difference(asked.tasks, report.tasks)
    if not change:
        return _refused(asked, "the planners know no other way")
    delay = delay_of(asked.tasks, report.tasks, asked.met, options)
    if asked.max_delay is not None and delay > asked.max_delay:
        reason = (
            f"the best graph that was found takes {_said(delay)} longer;"
            f" {_said(asked.max_delay)} are allowed"
        )
        return _refused(asked, reason, delay=delay)
    return PlanUpdated(
        plan_id=asked.plan_id,
        run_id=asked.run_id,
        revision=asked.revision + 1,
        tasks=report.tasks,
        added=change.added,
        removed=change.removed,
        modified=change.modified,
        reason=asked.reason,
        notes=report.notes[:MOST_NOTES],
        delay=delay,
        cost=cost_of(asked.tasks, report.tasks, asked.met),
        schedule=schedule_of(report.tasks, options),
    )


def amended(
    plan_id: str, revision: int, before: Sequence[Task], report: PlanReviewed, options: RunOptions
) -> PlanUpdated:
    """Return the revision that a person has made of a proposed plan.

    Raises:
        Refused: It is no graph that can be run, or the one that there is.
    """
    check(report.tasks)
    change = difference(before, report.tasks)
    if not change:
        raise NotUnderReview(plan_id, "is already as it should be: approve or reject it")
    return PlanUpdated(
        plan_id=plan_id,
        run_id=None,
        revision=revision + 1,
        tasks=report.tasks,
        added=change.added,
        removed=change.removed,
        modified=change.modified,
        reason=report.reason,
        delay=delay_of(before, report.tasks, (), options),
        cost=cost_of(before, report.tasks, ()),
        schedule=schedule_of(report.tasks, options),
        author=report.author or "somebody",
    )


def _lost(asked: PlanReplanning, report: GraphRevised) -> list[str]:
    old: Mapping[str, Task] = {task.id: task for task in asked.tasks}
    new: Mapping[str, Task] = {task.id: task for task in report.tasks}
    return [name for name in asked.met if new.get(name) != old.get(name)][:10]


def _refused(
    asked: PlanReplanning, reason: str, *, delay: float | None = None
) -> PlanReplanRefused:
    return PlanReplanRefused(
        plan_id=asked.plan_id,
        run_id=asked.run_id,
        revision=asked.revision,
        reason=reason[:4_000],
        delay=delay,
        max_delay=asked.max_delay,
    )


def _said(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
