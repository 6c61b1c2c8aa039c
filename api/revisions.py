"""Revisions of plans: what became of the graph so far."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.access import may
from api.errors import UnknownRevision
from api.plans import Id, require_plan
from api.reading import Reading
from api.revision_answers import (
    Blame,
    BlameAnswer,
    DiffAnswer,
    Modified,
    RevisionsAnswer,
    Touch,
    blamed,
    fields_of,
    shown,
)
from domain.errors import NotFound
from domain.revisions import difference
from domain.tasks import Task
from domain.values import TaskId
from projections.plans import PLANS
from projections.revisions import REVISIONS, RevisionRow, graph_at, read_revisions

router = APIRouter(prefix="/plans/{plan_id}", tags=["plans"])


@router.get("/revisions", dependencies=[may("plan:read")])
async def show_revisions(plan_id: Id, views: Reading) -> RevisionsAnswer:
    """Show what became of a plan's graph, the first step first."""
    async with views.snapshot(PLANS, REVISIONS) as read:
        await require_plan(read, plan_id)
        rows = await read_revisions(read.connection, plan_id)
    return RevisionsAnswer(plan_id=plan_id, revisions=[shown(row) for row in rows])


@router.get("/diff", dependencies=[may("plan:read")])
async def show_difference(
    plan_id: Id,
    views: Reading,
    before: Annotated[int | None, Query(ge=1, description="The one before the last.")] = None,
    after: Annotated[int | None, Query(ge=1, description="The last one.")] = None,
) -> DiffAnswer:
    """Show what is different between two revisions of a plan's graph."""
    async with views.snapshot(PLANS, REVISIONS) as read:
        row = await require_plan(read, plan_id)
        rows = await read_revisions(read.connection, plan_id)
    last = after or max(row.revision, 1)
    first = before or max(last - 1, 1)
    old, new = _graph(rows, plan_id, first), _graph(rows, plan_id, last)
    change = difference(old, new)
    by_id = {task.id: task for task in old}, {task.id: task for task in new}
    return DiffAnswer(
        plan_id=plan_id,
        before=first,
        after=last,
        added=change.added,
        removed=change.removed,
        modified=[
            Modified(task_id=name, changes=fields_of(by_id[0][name], by_id[1][name]))
            for name in change.modified
        ],
    )


@router.get("/tasks/{task_id}/blame", dependencies=[may("plan:read")])
async def blame_task(
    plan_id: Id, task_id: Annotated[TaskId, Path()], views: Reading
) -> BlameAnswer:
    """Show which revisions have touched a task, who made them and why."""
    async with views.snapshot(PLANS, REVISIONS) as read:
        await require_plan(read, plan_id)
        rows = await read_revisions(read.connection, plan_id)
    history: list[Blame] = []
    origin: str | None = None
    for row in rows:
        touched: tuple[tuple[Touch, Sequence[str]], ...] = (
            ("added", row.added),
            ("removed", row.removed),
            ("modified", row.modified),
        )
        history += [blamed(row, what) for what, names in touched if task_id in names]
        for task in row.tasks or ():
            if task["id"] == task_id:
                origin = str(task.get("origin") or "") or None
    if not history:
        raise NotFound(f"no revision of plan {plan_id} has a task {task_id}")
    return BlameAnswer(plan_id=plan_id, task_id=task_id, origin=origin, history=history)


def _graph(rows: Sequence[RevisionRow], plan_id: str, revision: int) -> Sequence[Task]:
    found = graph_at(rows, revision)
    if found is None:
        raise UnknownRevision(plan_id, revision)
    return found
