"""Analytics: what plans were like in a period, and how well it went to carry them out."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator

from api.access import May
from api.deps import Ports
from api.durations import Moment, human_or_none
from api.paging import Said
from api.reading import Reading
from domain.identity import Caller
from projections.analytics import Scenario, read_benchmarks, read_plan_numbers
from projections.executions import EXECUTIONS
from projections.plans import PLANS

router = APIRouter(prefix="/analytics", tags=["analytics"])

Viewer = Annotated[Caller, Depends(May("metrics:view"))]


_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")


def _written(given: object) -> object:
    """Take dates that are written as such: a number would be one, of so many seconds after 1970."""
    if isinstance(given, str) and not _DATE.match(given):
        raise ValueError("has to be a date, or one with a time: 2026-01-31")
    return given


def _aware(moment: date | datetime) -> date | datetime:
    """Take times without a zone as UTC."""
    if isinstance(moment, datetime) and moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment


Day = Annotated[date | datetime, BeforeValidator(_written), AfterValidator(_aware)]


class Period(BaseModel):
    """From when to when."""

    start: Moment | None
    """Null where there is no plan and nobody has said when."""

    end: Moment


class PlanAnalytics(BaseModel):
    """What plans were like; averages are of those that have a graph."""

    total_plans: int
    avg_complexity: float | None
    """A plan's complexity: a task counts one, what it needs of another task counts a half."""

    avg_makespan: str | None
    avg_makespan_seconds: float | None
    parallelization_ratio: float | None
    domains: Mapping[str, int]
    """How many of each domain, the most frequent first, at most 100 of them."""


class PlanAnalyticsAnswer(BaseModel):
    """What plans were like in a period."""

    period: Period
    analytics: PlanAnalytics


class BenchmarkAnswer(BaseModel):
    """How executions of plans of one complexity went."""

    scenario: Scenario
    """By the plan's complexity: simple below 20, moderate below 60, complex from there on."""

    runs: int
    """Executions that were completed or have failed."""

    avg_planning_time: str | None
    avg_planning_time_seconds: float | None
    """Of plans that agents have planned; null where all came with their graphs."""

    avg_execution_time: str | None
    avg_execution_time_seconds: float | None
    """Of those that were completed."""

    success_rate: float
    avg_complexity: float
    avg_tasks: float


class BenchmarksAnswer(BaseModel):
    """How executions went, by the complexity of their plans."""

    benchmarks: Sequence[BenchmarkAnswer]


@router.get("/plans")
async def show_plan_analytics(
    views: Reading,
    ports: Ports,
    caller: Viewer,
    *,
    start_date: Annotated[
        Day | None, Query(description="Plans created from this day or moment on (UTC).")
    ] = None,
    end_date: Annotated[
        Day | None, Query(description="Up to the end of this day, or this moment (UTC).")
    ] = None,
    domain: Said = None,
) -> PlanAnalyticsAnswer:
    """Show what the plans of a period were like."""
    del caller
    start = _moment(start_date, time.min)
    end = _moment(end_date, time.max)
    async with views.snapshot(PLANS) as read:
        numbers, domains = await read_plan_numbers(
            read.connection, start=start, end=end, domain=domain
        )
    return PlanAnalyticsAnswer(
        period=Period(start=start or numbers.first_at, end=end or ports.clock.now()),
        analytics=PlanAnalytics(
            total_plans=numbers.total,
            avg_complexity=_rounded(numbers.complexity, 1),
            avg_makespan=human_or_none(numbers.makespan_seconds),
            avg_makespan_seconds=numbers.makespan_seconds,
            parallelization_ratio=_rounded(numbers.parallelization_ratio, 4),
            domains=domains,
        ),
    )


@router.get("/benchmarks")
async def show_benchmarks(views: Reading, caller: Viewer) -> BenchmarksAnswer:
    """Show how the executions that are recorded went, by how complex their plans are."""
    del caller
    async with views.snapshot(PLANS, EXECUTIONS) as read:
        found = await read_benchmarks(read.connection)
    return BenchmarksAnswer(
        benchmarks=[
            BenchmarkAnswer(
                scenario=one.scenario,
                runs=one.runs,
                avg_planning_time=human_or_none(one.planning_seconds),
                avg_planning_time_seconds=_rounded(one.planning_seconds, 3),
                avg_execution_time=human_or_none(one.execution_seconds),
                avg_execution_time_seconds=_rounded(one.execution_seconds, 3),
                success_rate=round(one.success_rate, 3),
                avg_complexity=round(one.complexity, 1),
                avg_tasks=round(one.tasks, 1),
            )
            for one in found
        ]
    )


def _moment(given: date | datetime | None, at: time) -> datetime | None:
    if given is None or isinstance(given, datetime):
        return given
    return datetime.combine(given, at, tzinfo=UTC)


def _rounded(number: float | None, digits: int) -> float | None:
    return None if number is None else round(number, digits)
