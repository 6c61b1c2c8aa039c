"""Executions: run a plan, see how far it is."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api.access import Who, may
from api.deps import Ports
from api.durations import human_or_none
from api.execution_answers import (
    CurrentTask,
    DryRun,
    ExecutionAnswer,
    ExecutionPage,
    LogAnswer,
    Progress,
    StartedAnswer,
    checkpoints_of,
    line_of,
    metrics_of,
    percentage_of,
    summary_of,
)
from api.execution_requests import ExecutionRequest
from api.ownership import owners_of
from api.paging import Numbered, Paged
from api.past import AsOf, Past
from api.plans import require_plan
from api.reading import POSITION, Reading, Snapshot, snapshot
from domain.errors import UnknownRun
from domain.goals import Goal, Options
from domain.plan import Plan, next_run_of, run_options
from domain.recorded import derived_id
from domain.run_decisions import decide
from domain.run_events import RunRequested, TaskDispatched
from domain.values import AgentId, PlanId, RunId, RunKind, RunStatus, TaskId
from projections.describe import Level
from projections.executions import (
    EXECUTIONS,
    ExecutionRow,
    Sort,
    list_executions,
    place_of,
    read_execution,
)
from projections.graphs import GRAPHS, read_graph
from projections.plans import PLANS
from projections.presence import read_presence, tasks_of
from projections.tasks import TASKS, TaskRow, read_started
from projections.timeline import TIMELINE, read_lines

router = APIRouter(prefix="/executions", tags=["executions"])

MOST_CURRENT = 200
"""How many current tasks are shown at most."""

_Id = Annotated[RunId, Path()]


@router.post(
    "/start",
    status_code=201,
    responses={200: {"model": StartedAnswer, "description": "A dry run: nothing was started."}},
    dependencies=[may("plan:steer")],
)
async def start_execution(
    caller: Who, asked: ExecutionRequest, ports: Ports, request: Request, response: Response
) -> StartedAnswer:
    """Execute a ready plan, or one that has been executed before."""
    await owners_of(request).require(ports, caller, "plan:steer", plan_id=asked.plan_id)
    async with snapshot(ports, PLANS, GRAPHS) as read:
        row = await require_plan(read, asked.plan_id)
        tasks = tuple(await read_graph(read.connection, asked.plan_id))
    plan = Plan(
        id=row.plan_id,
        goal=Goal.model_validate(row.goal),
        options=Options.model_validate(row.options),
        status=row.status,
        revision=row.revision,
        has_own_graph=row.planning_run_id is None,
        tasks=tasks,
        runs=tuple(row.runs),
    )
    run_id = next_run_of(plan)
    requested = RunRequested(
        run_id=run_id,
        plan_id=plan.id,
        kind="execution",
        revision=plan.revision,
        priority=plan.goal.priority,
        options=asked.over(run_options(plan.options, has_own_graph=plan.has_own_graph)),
        tasks=tasks,
    )
    said_at = ports.clock.now()
    if asked.options.dry_run:
        response.status_code = 200
        response.headers[POSITION] = str(read.position)
        return StartedAnswer(
            execution_id=run_id,
            plan_id=plan.id,
            status="dry_run",
            started_at=None,
            dry_run=DryRun(
                total_tasks=len(tasks),
                first_tasks=_first_tasks(requested, said_at),
                agents=row.agents,
                estimated_makespan=human_or_none(row.makespan_seconds),
                estimated_makespan_seconds=row.makespan_seconds,
            ),
        )
    outcome = await ports.say(
        requested, actor=caller.actor, report_id=derived_id(run_id, "run.requested")
    )
    response.headers["Location"] = f"/api/v1/executions/{run_id}"
    response.headers[POSITION] = str(max(outcome.position, read.position))
    return StartedAnswer(
        execution_id=run_id,
        plan_id=plan.id,
        status="running",
        started_at=outcome.events[0].at if outcome.events else said_at,
        websocket_url=_watched_at(request, run_id),
    )


@router.get("", dependencies=[may("plan:read")])
async def show_executions(
    caller: Who,
    views: Reading,
    pages: Paged,
    *,
    plan_id: PlanId | None = None,
    status: Annotated[
        tuple[RunStatus, ...], Query(description="Once or several times: any of these.")
    ] = (),
    kind: RunKind | None = None,
    sort: Annotated[Sort, Query(description="A minus puts the latest first.")] = "-started_at",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> ExecutionPage:
    """Show executions of every kind, the newest first unless another order is asked for."""
    after = pages.moment()
    async with views.snapshot(EXECUTIONS) as read:
        rows = await list_executions(
            read.connection,
            plan_id=plan_id,
            status=status,
            kind=kind,
            owner=caller.only("plan:read"),
            sort=sort,
            after=after,
            limit=limit + 1,
        )
    shown = rows[:limit]
    more = len(rows) > limit
    return ExecutionPage(
        executions=[summary_of(row) for row in shown],
        next_cursor=pages.go_on(*place_of(shown[-1], sort)) if more else None,
    )


@router.get("/{execution_id}", dependencies=[may("plan:read")])
async def show_execution(
    execution_id: _Id, views: Reading, ports: Ports, past: AsOf
) -> ExecutionAnswer:
    """Show how far an execution is, or was at a moment."""
    now = ports.clock.now()
    async with views.snapshot(EXECUTIONS, TASKS) as read:
        row = await _require(read, execution_id)
        if past is None:
            started = await read_started(read.connection, execution_id, limit=MOST_CURRENT)
            current = await _current(read, started)
        else:
            row, started = await run_then(past, execution_id)
            current = [_shown_as_current(task) for task in started]
            now = past.moment if isinstance(past.moment, datetime) else row.updated_at
    if past is None:
        await views.tell_version(execution_id)
    return ExecutionAnswer(
        execution_id=row.run_id,
        plan_id=row.plan_id,
        kind=row.kind,
        status=row.status,
        priority=row.priority,
        started_at=row.started_at,
        ended_at=row.ended_at,
        paused_at=row.paused_at if row.status == "paused" else None,
        reason=row.reason,
        result=row.result,
        checkpoints=checkpoints_of(row),
        progress=Progress(
            completed_tasks=row.completed,
            total_tasks=row.total,
            percentage=percentage_of(row),
            current_tasks=current,
            tasks={
                "pending": row.pending,
                "dispatched": row.dispatched,
                "started": row.started,
                "completed": row.completed,
                "failed": row.failed,
                "skipped": row.skipped,
                "cancelled": row.cancelled,
            },
        ),
        metrics=metrics_of(row, now),
    )


@router.get("/{execution_id}/logs", dependencies=[may("plan:read")])
async def show_logs(
    execution_id: _Id,
    views: Reading,
    pages: Numbered,
    *,
    level: Annotated[Level, Query(description="The least level shown.")] = "debug",
    agent: Annotated[
        AgentId | None, Query(description="An agent's id, or a type of agents.")
    ] = None,
    task: TaskId | None = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> LogAnswer:
    """Show what happened in an execution, the oldest first."""
    async with views.snapshot(EXECUTIONS, TASKS, TIMELINE) as read:
        await _require(read, execution_id)
        found = await read_lines(
            read.connection,
            execution_id,
            level=level,
            agent=agent,
            task=task,
            limit=limit,
            offset=offset,
        )
    pages.go_on(offset=offset, limit=limit, total=found.total)
    return LogAnswer(
        execution_id=execution_id,
        logs=[line_of(line) for line in found.lines],
        total=found.total,
        limit=limit,
        offset=offset,
    )


def _watched_at(request: Request, run_id: str) -> str:
    """Return where an execution can be watched live, at the address that was asked."""
    scheme = "wss" if request.url.scheme == "https" else "ws"
    return f"{scheme}://{request.url.netloc}/ws/executions/{run_id}"


def _first_tasks(requested: RunRequested, now: datetime) -> Sequence[str]:
    """Return what a run would begin with, as far as its options let it."""
    events = decide(None, requested, now)
    return sorted(event.task_id for event in events if isinstance(event, TaskDispatched))


async def _require(read: Snapshot, run_id: str) -> ExecutionRow:
    row = await read_execution(read.connection, run_id)
    if row is None:
        raise UnknownRun(run_id)
    return row


async def _current(read: Snapshot, rows: Sequence[TaskRow]) -> Sequence[CurrentTask]:
    agents = sorted({row.agent_id for row in rows if row.agent_id})
    heard = await read_presence(read.connection, agents)
    progress = {
        (task.run_id, task.task_id, task.epoch): task.progress
        for presence in heard.values()
        for task in tasks_of(presence)
    }
    return [
        _shown_as_current(row, progress.get((row.run_id, row.task_id, row.epoch))) for row in rows
    ]


def _shown_as_current(row: TaskRow, progress: float | None = None) -> CurrentTask:
    return CurrentTask(
        task_id=row.task_id,
        agent=row.agent_type,
        agent_id=row.agent_id,
        progress=progress,
        started_at=row.started_at,
        epoch=row.epoch,
    )


async def run_then(past: Past, run_id: str) -> tuple[ExecutionRow, Sequence[TaskRow]]:
    """Return a run as it was, and the tasks that agents had in hand, the longest first.

    Raises:
        UnknownRun: There was none yet.
    """
    rows = await past.rows(run_id)
    row = rows.one(EXECUTIONS)
    if row is None:
        raise UnknownRun(run_id)
    started = [task for task in rows.of(TASKS) if task.status == "started"]
    started.sort(key=lambda task: (task.started_at or row.started_at, task.task_id))
    return row, started[:MOST_CURRENT]
