"""How the system as a whole does, and how one run did; no view of its own: these are queries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from projections.table import Connection

# What a run is busy with is counted by the last attempt of each task: one task, one stretch.
_EFFORTS = """
    with stretches as (
        select coalesce(instead, agent_type) as agent_type, agent_id, started_at as began,
               greatest(coalesce(ended_at, %(now)s::timestamptz), started_at) as ended
        from views.tasks_2 where run_id = %(run_id)s and started_at is not null
    ), levels as (
        select agent_type, sum(move) over (partition by agent_type order by at, move) as level
        from (select agent_type, began as at, 1 as move from stretches
              union all select agent_type, ended, -1 from stretches) as moves
    ), peaks as (
        select agent_type, max(level) as peak from levels group by agent_type
    ), staff as (
        select met.agent_type, sum(coalesce(a.max_concurrent_tasks, 1)) as places
        from (select distinct agent_type, agent_id from stretches) as met
        left join views.agents_1 a using (agent_id) group by 1
    ), sums as (
        select agent_type, extract(epoch from sum(ended - began))::float8 as busy_seconds
        from stretches group by agent_type
    )
    select agent_type, busy_seconds, peak::int, places::int
    from sums join peaks using (agent_type) join staff using (agent_type) order by agent_type
"""

_SYSTEM = """
    select
        (select count(*) from views.plans_3) as total_plans,
        (select min(created_at) from views.plans_3) as first_plan_at,
        (select count(*) from views.plans_3
            where status = 'completed' and ended_at > %(since)s) as completed_lately,
        (select avg(extract(epoch from planned_at - created_at))::float8 from views.plans_3
            where planned_at is not null and planning_run_id is not null) as planning_seconds,
        runs.* from (
            select
                count(*) filter (where status in ('running', 'paused')) as active,
                count(*) filter (where status = 'completed') as completed,
                count(*) filter (where status = 'failed') as failed,
                avg(extract(epoch from ended_at - started_at))
                    filter (where status = 'completed')::float8 as execution_seconds,
                coalesce(sum(total), 0)::bigint as tasks,
                coalesce(sum(pending), 0)::bigint as tasks_pending,
                coalesce(sum(dispatched + started), 0)::bigint as tasks_in_progress,
                coalesce(sum(executions_2.completed), 0)::bigint as tasks_completed,
                coalesce(sum(executions_2.failed), 0)::bigint as tasks_failed
            from views.executions_2 where kind = 'execution'
        ) as runs
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemNumbers:
    """Plans, their executions and the tasks of these, counted."""

    total_plans: int
    first_plan_at: datetime | None
    completed_lately: int
    """Plans that have been completed since the moment that was asked for."""

    planning_seconds: float | None
    """From goal to graph, on average; of plans that came without a graph."""

    active: int
    completed: int
    failed: int
    execution_seconds: float | None
    """From start to end, on average; of completed executions."""

    tasks: int
    tasks_pending: int
    tasks_in_progress: int
    tasks_completed: int
    tasks_failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """How busy the agents of one type were with a run."""

    busy_seconds: float
    """How long its tasks were under way, one after the other."""

    peak: int
    """How many of them were under way at once, at most."""

    places: int
    """How many tasks the agents that took part may have in hand at once."""


async def read_system(connection: Connection, *, since: datetime) -> SystemNumbers:
    """Count everything; ``since`` is when what was completed lately begins."""
    async with connection.cursor(row_factory=class_row(SystemNumbers)) as cursor:
        await cursor.execute(_SYSTEM, {"since": since})
        row = await cursor.fetchone()
    assert row is not None  # noqa: S101 # aggregates have always one row
    return row


async def read_busy(connection: Connection, run_id: str, *, now: datetime) -> Mapping[str, Busy]:
    """Return by type how busy agents were with a run."""
    cursor = await connection.execute(_EFFORTS, {"run_id": run_id, "now": now})
    return {
        agent_type: Busy(busy_seconds=busy, peak=peak, places=places)
        for agent_type, busy, peak, places in await cursor.fetchall()
    }


async def count_updates(connection: Connection, plan_id: str, *, since: datetime) -> int:
    """Return how often a plan has got another graph since a moment."""
    cursor = await connection.execute(
        "select count(*) from views.revisions_1"
        " where plan_id = %s and kind = 'updated' and at >= %s",
        [plan_id, since],
    )
    (number,) = await cursor.fetchone() or (0,)
    return int(number)
