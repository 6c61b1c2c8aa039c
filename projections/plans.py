"""Plans: what was wanted, and where it stands."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from psycopg import sql
from psycopg.rows import class_row

from domain.changed import changed
from domain.graph import depths
from domain.plan import (
    PlanCancelled,
    PlanCompleted,
    PlanCreated,
    PlanFailed,
    PlanReady,
    PlanStarted,
    PlanStatus,
)
from domain.policies import Event
from domain.recorded import Recorded
from domain.reviews import PlanApproved, PlanRejected
from domain.revisions import PlanUpdated
from domain.runs_of_plans import planning_run_of
from domain.scheduling.critical_path import critical_path
from domain.values import JsonObject, Priority
from projections.table import Connection
from projections.view import Key, View


@dataclass(frozen=True, kw_only=True)
class PlanRow:
    """One plan; its graph is in a view of its own, so that nothing rewrites it."""

    plan_id: str
    title: str
    domain: str
    priority: Priority
    goal: JsonObject
    options: JsonObject
    status: PlanStatus
    created_at: datetime
    updated_at: datetime
    planned_at: datetime | None = None
    """When it got its graph."""

    ended_at: datetime | None = None
    planning_run_id: str | None = None
    """The run that plans it, unless it came with a graph of its own."""

    runs: Sequence[str] = ()
    """Every execution there was, the latest last."""

    reason: str = ""
    revision: int = 0
    task_count: int = 0
    edge_count: int = 0
    agents: Sequence[str] = ()
    """The agent types its tasks need, sorted."""

    critical_path_length: int | None = None
    """How many tasks are on the critical path."""

    depth: int | None = None
    makespan_seconds: float | None = None
    """From start to end, as its schedule promises it with the agents that are counted on."""

    work_seconds: float | None = None
    parallelization_ratio: float | None = None
    cost: float | None = None
    actor: str = ""
    position: int
    """The last event of the plan."""


def keys(recorded: Recorded[Event]) -> Sequence[Key]:
    """Return the plan an event speaks of."""
    return ((recorded.stream,),)


def fold(
    rows: Mapping[Key, PlanRow], recorded: Recorded[Event]
) -> Iterable[tuple[Key, PlanRow | None]]:
    """Return the plan's row after one more event."""
    key = (recorded.stream,)
    event = recorded.event
    if isinstance(event, PlanCreated):
        yield key, _created(event, recorded)
        return
    row = changed(rows[key], updated_at=recorded.at, position=recorded.position)
    match event:
        case PlanReady():
            status: PlanStatus = "proposed" if row.options.get("review") else "ready"
            planned = changed(row, status=status, planned_at=recorded.at)
            yield key, _with_graph(planned, event)
        case PlanUpdated():
            yield key, _with_graph(row, event)
        case PlanApproved():
            yield key, changed(row, status="ready")
        case PlanRejected(reason=reason):
            yield key, changed(row, status="rejected", reason=reason, ended_at=recorded.at)
        case PlanStarted(run_id=run_id):
            runs = [*(each for each in row.runs if each != run_id), run_id]
            yield key, changed(row, status="running", runs=runs, reason="", ended_at=None)
        case PlanCompleted():
            yield key, changed(row, status="completed", ended_at=recorded.at)
        case PlanFailed(reason=reason):
            yield key, changed(row, status="failed", reason=reason, ended_at=recorded.at)
        case PlanCancelled(reason=reason):
            yield key, changed(row, status="cancelled", reason=reason, ended_at=recorded.at)
        case _:
            return


PLANS = View(
    name="plans",
    version=3,
    row=PlanRow,
    key=("plan_id",),
    columns="""
        plan_id text collate "C", title text not null, domain text not null,
        priority text not null, goal jsonb not null, options jsonb not null, status text not null,
        created_at timestamptz not null, updated_at timestamptz not null, planned_at timestamptz,
        ended_at timestamptz, planning_run_id text, runs text[] not null, reason text not null,
        revision int not null, task_count int not null, edge_count int not null,
        agents text[] not null, critical_path_length int, depth int,
        makespan_seconds double precision, work_seconds double precision,
        parallelization_ratio double precision, cost double precision, actor text not null,
        position bigint not null
    """,
    indexes=("(created_at, plan_id)",),
    hears=frozenset(
        {
            PlanCreated,
            PlanReady,
            PlanUpdated,
            PlanApproved,
            PlanRejected,
            PlanStarted,
            PlanCompleted,
            PlanFailed,
            PlanCancelled,
        }
    ),
    keys=keys,
    fold=fold,
)


async def read_plan(connection: Connection, plan_id: str) -> PlanRow | None:
    """Return one plan, or None where there is none."""
    async with connection.cursor(row_factory=class_row(PlanRow)) as cursor:
        await cursor.execute("select * from views.plans_3 where plan_id = %s", [plan_id])
        return await cursor.fetchone()


Sort = Literal["-created_at", "created_at", "-updated_at", "updated_at", "-title", "title"]
"""What plans are ordered by; a minus puts the largest first."""


async def list_plans(
    connection: Connection,
    *,
    owner: str | None = None,
    status: Sequence[str] = (),
    domain: str | None = None,
    priority: str | None = None,
    words: str | None = None,
    sort: Sort = "-created_at",
    after: tuple[str, str] | None = None,
    limit: int = 50,
) -> Sequence[PlanRow]:
    """Return plans in an order; ``after`` goes on after a place, as ``place_of`` says it."""
    column = sort.removeprefix("-")
    value, plan_id = after or (None, None)
    query = sql.SQL(
        "select * from views.plans_3 where (cardinality(%(status)s::text[]) = 0"
        " or status = any(%(status)s)) and (%(domain)s::text is null or domain = %(domain)s)"
        " and (%(priority)s::text is null or priority = %(priority)s)"
        " and (%(words)s::text is null or position(lower(%(words)s) in lower(title)) > 0)"
        " and (%(owner)s::text is null or actor = %(owner)s)"
        " and (%(plan_id)s::text is null"
        "      or ({column}, plan_id) {beyond} (%(value)s::{kind}, %(plan_id)s::text))"
        " order by {column} {way}, plan_id {way} limit %(limit)s"
    ).format(
        column=sql.SQL('title collate "C"') if column == "title" else sql.Identifier(column),
        kind=sql.SQL("text" if column == "title" else "timestamptz"),
        beyond=sql.SQL("<" if sort.startswith("-") else ">"),
        way=sql.SQL("desc" if sort.startswith("-") else "asc"),
    )
    async with connection.cursor(row_factory=class_row(PlanRow)) as cursor:
        await cursor.execute(
            query,
            {
                "status": list(status),
                "domain": domain,
                "priority": priority,
                "words": words,
                "value": value,
                "owner": owner,
                "plan_id": plan_id,
                "limit": limit,
            },
        )
        return await cursor.fetchall()


def place_of(row: PlanRow, sort: Sort) -> tuple[str, str]:
    """Return where a plan stands in an order."""
    match sort.removeprefix("-"):
        case "title":
            return row.title, row.plan_id
        case "updated_at":
            return row.updated_at.isoformat(), row.plan_id
        case _:
            return row.created_at.isoformat(), row.plan_id


def _created(event: PlanCreated, recorded: Recorded[Event]) -> PlanRow:
    goal = event.goal
    return PlanRow(
        plan_id=event.plan_id,
        title=goal.title,
        domain=goal.domain,
        priority=goal.priority,
        goal=goal.model_dump(mode="json"),
        options=event.options.model_dump(mode="json"),
        status="planning",
        created_at=recorded.at,
        updated_at=recorded.at,
        planning_run_id=None if event.planned else planning_run_of(event.plan_id),
        actor=recorded.actor,
        position=recorded.position,
    )


def _with_graph(row: PlanRow, event: PlanReady | PlanUpdated) -> PlanRow:
    tasks = event.tasks
    path = critical_path(tasks)
    # Plans of before version 0.2 have no schedule: nothing of theirs ever waits for an agent.
    makespan = path.makespan if event.schedule is None else event.schedule.makespan
    return changed(
        row,
        revision=event.revision,
        task_count=len(tasks),
        edge_count=sum(len(task.needs) for task in tasks),
        agents=sorted({task.agent for task in tasks}),
        critical_path_length=len(path.path),
        depth=max(depths(tasks).values(), default=0),
        makespan_seconds=makespan,
        work_seconds=path.work,
        parallelization_ratio=1 - makespan / path.work if path.work else 0.0,
        cost=sum(task.cost for task in tasks),
    )


def estimated_completion(row: PlanRow) -> datetime | None:
    """Return when its schedule ends if it starts as soon as it is planned, where it is planned."""
    if row.makespan_seconds is None or row.planned_at is None:
        return None
    return row.planned_at + timedelta(seconds=row.makespan_seconds)
