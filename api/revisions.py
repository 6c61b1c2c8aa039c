"""Revisions of plans: ask for another graph, and see what became of the graph so far."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, Response

from api.deps import Deps, Ports
from api.durations import parse_duration
from api.plans import ACTOR, Id, require_plan
from api.reading import POSITION, Reading, snapshot
from api.revision_answers import (
    Blame,
    BlameAnswer,
    DiffAnswer,
    Modified,
    ReplanAnswer,
    RevisionsAnswer,
    Touch,
    blamed,
    changes_of,
    fields_of,
    impact_of,
    shown,
)
from domain.errors import NotFound, PlanNotReady, Refused
from domain.recorded import Report, derived_id
from domain.revisions import PlanReplanRequested, difference
from domain.steering import RunReplanRequested
from domain.tasks import Task
from domain.values import AgentType, TaskId, Text, Value
from projections.plans import PLANS, PlanRow
from projections.revisions import REVISIONS, RevisionRow, graph_at, read_revisions

router = APIRouter(prefix="/plans/{plan_id}", tags=["plans"])

_PAUSE = 0.05

_TaskPath = Annotated[TaskId, Path()]


class ReplanConstraints(Value):
    """What another graph has to respect."""

    preserve_completed: Literal[True] = True
    """What is done is never done again: there is no other way."""

    max_delay: str | None = None
    """By how much the end may move: ``2 days``."""


class ReplanRequest(Value):
    """Why another graph is wanted."""

    reason: Text = ""
    failed_task_id: TaskId | None = None
    agent_type: AgentType | None = None
    """The type of agents that is not there any more."""

    constraints: ReplanConstraints = ReplanConstraints()


class UnknownRevision(NotFound):
    """The plan has no such revision."""

    code = "unknown-revision"

    def __init__(self, plan_id: str, revision: int) -> None:
        super().__init__(f"plan {plan_id} has no revision {revision}")


class NoDuration(Refused):
    """A text does not say how long something takes."""

    code = "no-duration"

    def __init__(self, text: str) -> None:
        super().__init__(f"max_delay {text!r} is no duration; write '2 days' or 'PT48H'")


@router.post("/replan", status_code=202)
async def replan(
    plan_id: Id,
    ports: Ports,
    response: Response,
    asked: ReplanRequest | None = None,
    wait: Annotated[float, Query(ge=0, le=60, description="Seconds to wait for the answer.")] = 0,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=200, description="Asked twice, done once.")
    ] = None,
) -> ReplanAnswer:
    """Ask the planners for another graph; what is done stays done, and a live run goes on."""
    asked = asked or ReplanRequest()
    async with snapshot(ports, PLANS, REVISIONS) as read:
        row = await require_plan(read, plan_id)
        seen = await read_revisions(read.connection, plan_id)
    body = _wish(row, asked)
    said = f"replan/{ACTOR}/{idempotency_key or ports.new_id()}"
    report_id = derived_id(plan_id, said)
    outcome = await ports.record(
        Report(
            id=report_id,
            stream=plan_id if isinstance(body, PlanReplanRequested) else body.run_id,
            body=body,
            said_at=ports.clock.now(),
            actor=ACTOR,
            correlation_id=report_id,
        )
    )
    response.headers[POSITION] = str(outcome.position or read.position)
    after = max((step.position for step in seen), default=0)
    steps = await _answered(ports, plan_id, after=after, wait=wait)
    return _answer(row, steps)


@router.get("/revisions")
async def show_revisions(plan_id: Id, views: Reading) -> RevisionsAnswer:
    """Show what became of a plan's graph, the first step first."""
    async with views.snapshot(PLANS, REVISIONS) as read:
        await require_plan(read, plan_id)
        rows = await read_revisions(read.connection, plan_id)
    return RevisionsAnswer(plan_id=plan_id, revisions=[shown(row) for row in rows])


@router.get("/diff")
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


@router.get("/tasks/{task_id}/blame")
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


def _wish(row: PlanRow, asked: ReplanRequest) -> PlanReplanRequested | RunReplanRequested:
    max_delay: float | None = None
    if (text := asked.constraints.max_delay) is not None:
        understood = parse_duration(text)
        if understood is None or understood.total_seconds() <= 0:
            raise NoDuration(text)
        max_delay = understood.total_seconds()
    if row.runs and row.status in ("running", "failed"):
        return RunReplanRequested(
            run_id=row.runs[-1],
            reason=asked.reason,
            agent_type=asked.agent_type,
            task_id=asked.failed_task_id,
            max_delay=max_delay,
        )
    if row.status != "ready":
        raise PlanNotReady(row.plan_id, row.status)
    return PlanReplanRequested(
        plan_id=row.plan_id, reason=asked.reason, max_delay=max_delay, author=ACTOR
    )


async def _answered(ports: Deps, plan_id: str, *, after: int, wait: float) -> Sequence[RevisionRow]:
    """Return what has followed, once it is an answer or the time is over."""
    deadline = asyncio.get_running_loop().time() + wait
    while True:
        async with snapshot(ports, REVISIONS) as read:
            steps = await read_revisions(read.connection, plan_id, after=after)
        is_settled = any(step.kind in ("updated", "refused") for step in steps)
        if is_settled or asyncio.get_running_loop().time() >= deadline:
            return steps
        await asyncio.sleep(_PAUSE)


def _answer(row: PlanRow, steps: Sequence[RevisionRow]) -> ReplanAnswer:
    run = next((step.planning_run for step in steps if step.kind == "asked"), None)
    for step in steps:
        if step.kind in ("updated", "refused"):
            return ReplanAnswer(
                plan_id=row.plan_id,
                replan_id=run,
                status="updated" if step.kind == "updated" else "refused",
                reason=step.reason or None,
                revision=step.revision,
                changes=changes_of(step) if step.kind == "updated" else None,
                estimated_impact=impact_of(step),
            )
    return ReplanAnswer(
        plan_id=row.plan_id, replan_id=run, status="replanning", revision=row.revision
    )


def _graph(rows: Sequence[RevisionRow], plan_id: str, revision: int) -> Sequence[Task]:
    found = graph_at(rows, revision)
    if found is None:
        raise UnknownRevision(plan_id, revision)
    return found
