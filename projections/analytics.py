"""What plans were like, and how it went to carry them out; queries, no view of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from psycopg.rows import class_row

from projections.table import Connection

Scenario = Literal["simple", "moderate", "complex"]

MODERATE: Final = 20.0
COMPLEX: Final = 60.0
"""The complexities from which a plan is moderate, and complex.

A task counts one, and what it needs of another task counts a half."""

MOST_RUNS: Final = 10_000
"""The latest executions that benchmarks are made of."""

MOST_DOMAINS: Final = 100
"""The most frequent domains are named."""

_WITHIN = (
    " from views.plans_3 where (%(start)s::timestamptz is null or created_at >= %(start)s)"
    " and (%(end)s::timestamptz is null or created_at <= %(end)s)"
    " and (%(domain)s::text is null or domain = %(domain)s)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanNumbers:
    """Plans of a period, counted and averaged; averages are of those that have a graph."""

    total: int
    first_at: datetime | None
    complexity: float | None
    makespan_seconds: float | None
    parallelization_ratio: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """Executions of plans of one kind."""

    scenario: Scenario
    runs: int
    planning_seconds: float | None
    execution_seconds: float | None
    success_rate: float
    complexity: float
    tasks: float


async def read_plan_numbers(
    connection: Connection, *, start: datetime | None, end: datetime | None, domain: str | None
) -> tuple[PlanNumbers, Mapping[str, int]]:
    """Return the numbers of plans that were created in a period, and how many of each domain."""
    asked = {"start": start, "end": end, "domain": domain, "most": MOST_DOMAINS}
    async with connection.cursor(row_factory=class_row(PlanNumbers)) as cursor:
        await cursor.execute(
            "select count(*) as total, min(created_at) as first_at,"
            " avg(task_count + edge_count / 2.0)"
            "   filter (where planned_at is not null)::float8 as complexity,"
            " avg(makespan_seconds) as makespan_seconds,"
            f" avg(parallelization_ratio) as parallelization_ratio{_WITHIN}",
            asked,
        )
        numbers = await cursor.fetchone()
    assert numbers is not None  # noqa: S101 # an aggregate has always one row
    found = await connection.execute(
        f"select domain, count(*){_WITHIN}"
        " group by domain order by count(*) desc, domain limit %(most)s",
        asked,
    )
    return numbers, dict(await found.fetchall())


async def read_benchmarks(connection: Connection) -> Sequence[Benchmark]:
    """Return how executions that have ended went, by how complex their plans are."""
    async with connection.cursor(row_factory=class_row(Benchmark)) as cursor:
        await cursor.execute(
            "select case when complexity >= %(complex)s then 'complex'"
            "   when complexity >= %(moderate)s then 'moderate' else 'simple' end as scenario,"
            " count(*) as runs,"
            " avg(extract(epoch from planned_at - created_at))"
            "   filter (where planning_run_id is not null)::float8 as planning_seconds,"
            " avg(extract(epoch from ended_at - started_at))"
            "   filter (where status = 'completed')::float8 as execution_seconds,"
            " avg((status = 'completed')::int)::float8 as success_rate,"
            " avg(complexity)::float8 as complexity, avg(task_count)::float8 as tasks"
            " from (select r.started_at, r.ended_at, r.status, p.created_at, p.planned_at,"
            "        p.planning_run_id, p.task_count,"
            "        p.task_count + p.edge_count / 2.0 as complexity"
            "       from (select * from views.executions_2 where kind = 'execution'"
            "               and status in ('completed', 'failed')"
            "             order by started_at desc, run_id desc limit %(most)s) as r"
            "       join views.plans_3 as p using (plan_id)) as ended"
            " group by 1 order by min(complexity)",
            {"complex": COMPLEX, "moderate": MODERATE, "most": MOST_RUNS},
        )
        return await cursor.fetchall()
