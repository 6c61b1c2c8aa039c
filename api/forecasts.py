"""When an execution will end, and what has delayed it."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, cast

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from api.access import may
from api.deps import Ports
from api.durations import Moment, human
from api.reading import Reading
from domain.errors import UnknownRun
from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import RunEvent, RunStarted
from domain.scheduling.forecast import Cause, Charge, Forecast
from domain.scheduling.outlook import Outlook, outlook
from domain.scheduling.promised import TICK
from domain.scheduling.schedules import Schedule, fits, schedule_of
from domain.values import RunId
from projections.durations import recorded_ratios
from projections.executions import EXECUTIONS
from projections.graphs import GRAPHS, read_schedule
from projections.tasks import TASKS

router = APIRouter(prefix="/executions/{execution_id}", tags=["executions"])


class Delay(BaseModel):
    """By how much one event has moved the end."""

    position: int
    """Of the event in the log."""

    event: str
    task_id: str | None
    cause: Cause
    delay: str
    delay_seconds: float
    """Less than 0 where it brought the end forward."""


class ForecastAnswer(BaseModel):
    """When an execution will end, and what has delayed it."""

    execution_id: str
    is_over: bool
    planned_end: Moment
    end: Moment
    """Where it has ended, when; else if from now on everything takes as long as estimated."""

    p50_end: Moment
    p90_end: Moment
    """It ends by then in nine of ten possible courses, made of recorded durations."""

    recorded_durations: int
    """How many there were to make them of; without any, estimates stand for them."""

    delay: str
    delay_seconds: float
    """What events have moved the end by; what is late without an event is in ``end`` only."""

    is_charged: bool
    """Whether events are charged with the delay: not in an execution of more than 1,000 tasks."""

    by_cause: Mapping[Cause, float]
    """The same in seconds, divided by causes."""

    charges: Sequence[Delay]
    """The events that moved it most, the latest first."""


@router.get("/forecast", dependencies=[may("plan:read")])
async def show_forecast(
    execution_id: Annotated[RunId, Path()],
    views: Reading,
    ports: Ports,
    limit: Annotated[int, Query(ge=1, le=1_000, description="Charges that are shown.")] = 100,
) -> ForecastAnswer:
    """Show when an execution will end, and which events have delayed it by how much."""
    events = await ports.streams.read(execution_id)
    if not events or not isinstance(events[0].event, RunStarted):
        raise UnknownRun(execution_id)
    async with views.snapshot(EXECUTIONS, GRAPHS, TASKS) as read:
        plan_id = events[0].event.plan_id
        schedule = await read_schedule(read.connection, plan_id) if plan_id else None
        ratios = await recorded_ratios(read.connection)
    now = ports.clock.now()

    def reckoned() -> tuple[Forecast, Outlook]:
        forecast = forecast_of(events, schedule)
        return forecast, outlook(forecast, max(0, (now - forecast.began) // TICK), ratios)

    forecast, seen = await asyncio.to_thread(reckoned)
    known = {(c.promise.task.agent, c.promise.task.action) for c in forecast.courses.values()}
    count = sum(len(found) for kind, found in ratios.items() if kind in known)
    return answer(execution_id, forecast, seen, count=count, limit=limit)


def forecast_of(events: Sequence[Recorded[Event]], schedule: Schedule | None) -> Forecast:
    """Return the forecast after a run's events, from its plan's schedule if it can be kept."""
    first = events[0]
    begun = cast("RunStarted", first.event)
    if schedule is None or not fits(schedule, begun.tasks, begun.options):
        schedule = schedule_of(begun.tasks, begun.options)
    forecast = Forecast(begun, first.at, schedule)
    for recorded in events:
        forecast.hear(cast("RunEvent", recorded.event), recorded.at, recorded.position)
    return forecast


def answer(
    execution_id: str, forecast: Forecast, seen: Outlook, *, count: int, limit: int
) -> ForecastAnswer:
    """Return a forecast as it is shown."""
    causes: Counter[Cause] = Counter()
    for charge in forecast.charges:
        causes[charge.cause] += charge.ticks
    slip = forecast.slip if forecast.is_charged else seen.at_best - forecast.planned
    most = sorted(forecast.charges, key=lambda charge: -abs(charge.ticks))[:limit]

    def moment(ticks: int) -> datetime:
        return forecast.began + timedelta(microseconds=ticks)

    return ForecastAnswer(
        execution_id=execution_id,
        is_over=forecast.is_over,
        planned_end=moment(forecast.planned),
        end=moment(seen.at_best),
        p50_end=moment(seen.p50),
        p90_end=moment(seen.p90),
        recorded_durations=count,
        delay=_signed(slip),
        delay_seconds=slip / 1e6,
        is_charged=forecast.is_charged,
        by_cause={cause: ticks / 1e6 for cause, ticks in sorted(causes.items())},
        charges=[_delay(charge) for charge in sorted(most, key=lambda charge: -charge.position)],
    )


def _delay(charge: Charge) -> Delay:
    return Delay(
        position=charge.position,
        event=charge.type,
        task_id=charge.task_id,
        cause=charge.cause,
        delay=_signed(charge.ticks),
        delay_seconds=charge.ticks / 1e6,
    )


def _signed(ticks: int) -> str:
    return f"{'-' if ticks < 0 else ''}{human(abs(ticks) / 1e6)}"
