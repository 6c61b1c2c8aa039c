"""Pictures of plans: their graph, and the schedule beside what has happened."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Response

from api.access import may
from api.plans import Id, require_plan
from api.reading import Reading
from domain.goals import Options
from domain.plan import run_options
from domain.scheduling.schedules import Schedule, schedule_of
from domain.tasks import Task
from domain.values import TaskStatus
from projections.graphs import GRAPHS, read_graph, read_schedule
from projections.pictures.gantt import Bar, draw_gantt, planned_bars
from projections.pictures.graph import draw_graph
from projections.plans import PLANS
from projections.tasks import TASKS, TaskRow, read_tasks, statuses_of

router = APIRouter(prefix="/visualizations", tags=["plans"])

SVG = "image/svg+xml"
_HEADERS = {
    # A picture that is opened on its own is a document: it may load nothing and do nothing.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
_DRAWN: dict[int | str, dict[str, Any]] = {200: {"content": {SVG: {"schema": {"type": "string"}}}}}


@router.get(
    "/{plan_id}.svg", response_class=Response, responses=_DRAWN, dependencies=[may("plan:read")]
)
async def draw_plan(plan_id: Id, views: Reading) -> Response:
    """Draw the graph of a plan: where each task stands, and the critical path."""
    async with views.snapshot(PLANS, GRAPHS, TASKS) as read:
        row = await require_plan(read, plan_id)
        tasks = await read_graph(read.connection, plan_id)
        statuses: Mapping[str, TaskStatus] = {}
        if row.runs:
            statuses = await statuses_of(read.connection, row.runs[-1])
    picture = await asyncio.to_thread(draw_graph, row.title, tasks, statuses)
    return Response(picture, media_type=SVG, headers=_HEADERS)


@router.get(
    "/{plan_id}/gantt.svg",
    response_class=Response,
    responses=_DRAWN,
    dependencies=[may("plan:read")],
)
async def draw_schedule(plan_id: Id, views: Reading) -> Response:
    """Draw the schedule of a plan, and when its last execution has done what."""
    async with views.snapshot(PLANS, GRAPHS, TASKS) as read:
        row = await require_plan(read, plan_id)
        tasks = await read_graph(read.connection, plan_id)
        schedule = await read_schedule(read.connection, plan_id)
        done = await read_tasks(read.connection, row.runs[-1]) if row.runs else ()
    options = Options.model_validate(row.options)

    def draw() -> str:
        known: Schedule = schedule or schedule_of(tasks, run_options(options))
        actual = _actual(tasks, done, now=datetime.now(UTC))
        return draw_gantt(row.title, tasks, planned_bars(tasks, known), actual)

    return Response(await asyncio.to_thread(draw), media_type=SVG, headers=_HEADERS)


def _actual(tasks: Sequence[Task], rows: Sequence[TaskRow], *, now: datetime) -> Sequence[Bar]:
    by_id: Mapping[str, Task] = {task.id: task for task in tasks}
    begun = [row for row in rows if row.started_at is not None and row.task_id in by_id]
    first = min((row.started_at for row in begun if row.started_at), default=None)
    if first is None:
        return []
    return [
        Bar(
            task=by_id[row.task_id],
            start=(row.started_at - first).total_seconds(),
            end=((row.ended_at or now) - first).total_seconds(),
            status=row.status,
            agent_id=row.agent_id or "",
        )
        for row in begun
        if row.started_at is not None
    ]
