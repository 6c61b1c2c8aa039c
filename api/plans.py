"""Plans: submit a goal, see what became of it."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, cast

import orjson
from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BeforeValidator, Field

from api.access import Who, may
from api.asked import Asked
from api.deps import Deps, Ports
from api.durations import human_or_none, parse_duration
from api.graphs import TaskGraph, drawing_of, task_graph_of
from api.paging import Paged, Said
from api.past import AsOf
from api.plan_answers import (
    PICTURES,
    GraphAnswer,
    PlanAnswer,
    PlanCancelledAnswer,
    PlanCreatedAnswer,
    PlanMetrics,
    PlanPage,
    accepted,
    rounded,
    summary_of,
)
from api.plan_past import plan_then
from api.quotas import within_quota
from api.reading import POSITION, Reading, Snapshot, snapshot
from api.tags import IfMatch
from bus.failpoints import reach
from domain.errors import Unavailable, UnknownPlan
from domain.estimates import Effort
from domain.findings import Conflict
from domain.goals import Goal, Options
from domain.graph import LIMITS
from domain.identity import Caller
from domain.plan import GoalSubmitted, PlanCancelRequested, PlanStatus
from domain.recorded import derived_id
from domain.tasks import Task
from domain.values import PlanId, Priority, Value
from projections.agents import AGENTS
from projections.capability import read_unserved, wanted
from projections.efforts import read_efforts
from projections.executions import EXECUTIONS
from projections.findings import FINDINGS, read_findings
from projections.graphs import GRAPHS, read_graph, read_nodes
from projections.plans import (
    PLANS,
    PlanRow,
    Sort,
    estimated_completion,
    list_plans,
    place_of,
    read_plan,
)
from projections.tasks import TASKS, statuses_of

router = APIRouter(prefix="/plans", tags=["plans"])

"""Who asks, as long as nobody has to say who they are."""

_PAUSE = 0.025

Id = Annotated[PlanId, Path()]


def _with_durations(given: object) -> object:
    """Read the durations of a task as people write them."""
    if not isinstance(given, dict):
        return given
    task = cast("dict[str, object]", given)
    duration = task.get("duration")
    understood = parse_duration(duration) if isinstance(duration, str) else None
    if understood is not None:
        task = task | {"duration": understood}
    if isinstance(task.get("timeouts"), dict):
        timeouts = cast("dict[str, object]", task["timeouts"])
        task = task | {"timeouts": {name: _in_seconds(each) for name, each in timeouts.items()}}
    return task


def _in_seconds(given: object) -> object:
    understood = parse_duration(given) if isinstance(given, str) else None
    return given if understood is None else understood.total_seconds()


class SubmittedGraph(Value):
    """A task graph that a user brings along."""

    tasks: Annotated[
        tuple[Annotated[Task, BeforeValidator(_with_durations)], ...],
        Field(max_length=2 * LIMITS.tasks, fail_fast=True),
    ]
    """Durations and timeouts may be written as people do: ``2 hours``."""


class PlanRequest(Asked):
    """A goal, and how to pursue it."""

    goal: Goal
    options: Options = Options()
    task_graph: SubmittedGraph | None = None
    """A graph of your own: the plan needs no planning then."""


@router.post(
    "/create",
    status_code=201,
    responses={202: {"model": PlanCreatedAnswer, "description": "Its planning goes on."}},
    dependencies=[may("plan:create")],
)
async def create_plan(
    caller: Who,
    asked: PlanRequest,
    ports: Ports,
    response: Response,
    *,
    wait: Annotated[
        float, Query(ge=0, le=30, description="Seconds to wait for the plan to be planned.")
    ] = 2.0,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=200, description="Asked twice, done once.")
    ] = None,
) -> PlanCreatedAnswer:
    """Accept a goal; 201 when it is planned already, 202 when its planning goes on."""
    plan_id = f"plan_{_part(ports, caller, idempotency_key)}"
    said_at = ports.clock.now()
    goal = GoalSubmitted(
        plan_id=plan_id,
        goal=asked.goal,
        options=asked.options,
        tasks=asked.task_graph.tasks if asked.task_graph else (),
        history=() if asked.task_graph else await _history(ports, asked.options),
    )
    report_id = derived_id(plan_id, "goal.submitted")
    outcome = await within_quota(
        ports, caller, plan_id, lambda: ports.say(goal, actor=caller.actor, report_id=report_id)
    )
    row, reached = await _planned(ports, plan_id, wait)
    response.headers["Location"] = f"/api/v1/plans/{plan_id}"
    response.headers[POSITION] = str(max(reached, outcome.position))
    if row is None or row.status == "planning":
        response.status_code = 202
    created_at = row.created_at if row else outcome.events[0].at if outcome.events else said_at
    reach("api.before_response")
    return accepted(plan_id, asked.goal, row, created_at)


@router.get("", dependencies=[may("plan:read")])
async def show_plans(
    caller: Who,
    views: Reading,
    pages: Paged,
    *,
    status: Annotated[
        tuple[PlanStatus, ...], Query(description="Once or several times: any of these.")
    ] = (),
    domain: Annotated[Said, Query(description="The goal's domain.")] = None,
    priority: Priority | None = None,
    q: Annotated[Said, Query(description="Words in the title, whatever their case.")] = None,
    sort: Annotated[Sort, Query(description="A minus puts the largest first.")] = "-created_at",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> PlanPage:
    """Show plans, the newest first unless another order is asked for."""
    place = pages.place(2)
    async with views.snapshot(PLANS) as read:
        rows = await list_plans(
            read.connection,
            owner=caller.only("plan:read"),
            status=status,
            domain=domain,
            priority=priority,
            words=q,
            sort=sort,
            after=(place[0], place[1]) if place else None,
            limit=limit + 1,
        )
    shown = rows[:limit]
    more = len(rows) > limit
    return PlanPage(
        plans=[summary_of(row) for row in shown],
        next_cursor=pages.go_on(*place_of(shown[-1], sort)) if more else None,
    )


@router.get("/{plan_id}", response_model=PlanAnswer, dependencies=[may("plan:read")])
async def show_plan(plan_id: Id, views: Reading, past: AsOf) -> Response:
    """Show one plan with its graph, now or as of a moment."""
    async with views.snapshot(PLANS, GRAPHS, FINDINGS, TASKS, AGENTS) as read:
        row = await require_plan(read, plan_id)
        if past is None:
            tasks = await read_nodes(read.connection, plan_id)
            conflicts, missing = await read_findings(read.connection, plan_id)
            is_over = row.status in ("completed", "cancelled")
            unserved = () if is_over else await read_unserved(read.connection, wanted(tasks))
            stands = await _statuses(read, row)
        else:
            row, tasks, conflicts, missing, stands = await plan_then(past, plan_id)
            unserved = ()
    if past is None:
        await views.tell_version(plan_id)
    graph = await asyncio.to_thread(task_graph_of, tasks, stands)
    answer = PlanAnswer(
        plan_id=row.plan_id,
        goal=row.goal,
        options=row.options,
        status=row.status,
        reason=row.reason or None,
        created_at=row.created_at,
        updated_at=row.updated_at,
        estimated_completion=estimated_completion(row),
        revision=row.revision,
        planning_execution_id=row.planning_run_id,
        executions=row.runs,
        conflicts=[Conflict.model_validate(each) for each in conflicts],
        missing=missing,
        unserved=unserved,
        task_graph=TaskGraph(nodes=(), edges=()),
        metrics=PlanMetrics(
            total_tasks=row.task_count,
            critical_path_length=row.critical_path_length,
            parallelization_ratio=rounded(row.parallelization_ratio),
            estimated_makespan=human_or_none(row.makespan_seconds),
            estimated_makespan_seconds=row.makespan_seconds,
            estimated_work=human_or_none(row.work_seconds),
            estimated_work_seconds=row.work_seconds,
            estimated_cost=row.cost,
        ),
    ).model_dump(mode="json")
    return Response(
        orjson.dumps(answer | {"task_graph": graph}),
        media_type="application/json",
        headers=dict(views.response.headers),
    )


@router.get("/{plan_id}/graph", dependencies=[may("plan:read")])
async def show_graph(plan_id: Id, views: Reading) -> GraphAnswer:
    """Show one plan's graph as dagre wants it, with its critical path."""
    async with views.snapshot(PLANS, GRAPHS, TASKS) as read:
        row = await require_plan(read, plan_id)
        tasks = await read_graph(read.connection, plan_id)
        stands = await _statuses(read, row)
    drawing = await asyncio.to_thread(drawing_of, tasks, stands)
    return GraphAnswer(
        plan_id=plan_id, graph=drawing, visualization_url=f"{PICTURES}/{plan_id}.svg"
    )


@router.delete("/{plan_id}", dependencies=[may("plan:steer")])
async def cancel_plan(
    caller: Who,
    plan_id: Id,
    ports: Ports,
    response: Response,
    reason: Annotated[str, Query(max_length=500, description="Why, for the record.")] = "",
    at_version: IfMatch = None,
) -> PlanCancelledAnswer:
    """Cancel a plan and the run that is under way; what has ended already stays as it is."""
    outcome = await ports.say(
        PlanCancelRequested(plan_id=plan_id, reason=reason),
        actor=caller.actor,
        report_id=derived_id(plan_id, f"plan.cancel_requested/{ports.new_id()}"),
        at_version=at_version,
    )
    if outcome.events:
        response.headers[POSITION] = str(outcome.position)
        message = "Plan cancelled successfully"
        return PlanCancelledAnswer(plan_id=plan_id, status="cancelled", message=message)
    async with snapshot(ports, PLANS) as read:
        row = await require_plan(read, plan_id)
    message = f"Plan is {row.status} already; there was nothing to cancel"
    return PlanCancelledAnswer(plan_id=plan_id, status=row.status, message=message)


async def require_plan(read: Snapshot, plan_id: str) -> PlanRow:
    """Return a plan's row.

    Raises:
        UnknownPlan: There is none.
    """
    row = await read_plan(read.connection, plan_id)
    if row is None:
        raise UnknownPlan(plan_id)
    return row


async def _statuses(read: Snapshot, row: PlanRow) -> Mapping[str, str]:
    """Return where the tasks stand in the plan's latest execution."""
    return await statuses_of(read.connection, row.runs[-1]) if row.runs else {}


async def _history(ports: Deps, options: Options) -> tuple[Effort, ...]:
    """Return how long work has taken so far; a goal is accepted without it as well."""
    if options.estimates == "rules":
        return ()
    try:
        async with snapshot(ports, EXECUTIONS, TASKS) as read:
            return tuple(await read_efforts(read.connection))
    except Unavailable:
        return ()


async def _planned(ports: Deps, plan_id: str, wait: float) -> tuple[PlanRow | None, int]:
    """Return the plan as soon as it is planned, or as it is when the wait is over."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait
    while True:
        async with snapshot(ports, PLANS) as read:
            row = await read_plan(read.connection, plan_id)
        if (row is not None and row.status != "planning") or loop.time() >= deadline:
            return row, read.position
        await asyncio.sleep(_PAUSE)


def _part(ports: Deps, caller: Caller, key: str | None) -> str:
    return ports.new_id() if key is None else derived_id(f"{caller.actor}/{key}", "plan")
