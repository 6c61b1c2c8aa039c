"""Breakers: for which agent types new work is held back, and why."""

from collections.abc import Sequence

from fastapi import APIRouter
from pydantic import BaseModel

from api.access import may
from api.durations import Moment
from api.reading import Reading
from domain.circuits import CircuitState
from domain.values import Role
from projections.breakers import BREAKERS, BreakerRow, list_breakers

router = APIRouter(prefix="/breakers", tags=["agents"])


class BreakerSummary(BaseModel):
    """The breaker of one agent type."""

    role: Role
    type: str
    state: CircuitState
    reason: str | None
    """Why it opened last."""

    attempts: int
    failures: int
    """How many of that many attempts had failed then."""

    error_rate: float
    until: Moment | None
    """When an open one lets a probe through."""

    opened_at: Moment
    changed_at: Moment
    times_opened: int
    times_in_a_row: int


class BreakersAnswer(BaseModel):
    """Every breaker that was ever open."""

    breakers: Sequence[BreakerSummary]
    total: int


@router.get("", dependencies=[may("agent:read")])
async def show_breakers(views: Reading) -> BreakersAnswer:
    """Show breakers, those that are not closed first; a type without one never failed so much."""
    async with views.snapshot(BREAKERS) as read:
        rows = await list_breakers(read.connection)
    return BreakersAnswer(breakers=[_summary(row) for row in rows], total=len(rows))


def _summary(row: BreakerRow) -> BreakerSummary:
    return BreakerSummary(
        role=row.role,
        type=row.agent_type,
        state=row.state,
        reason=row.reason or None,
        attempts=row.ended,
        failures=row.failed,
        error_rate=round(row.failed / row.ended, 3) if row.ended else 0.0,
        until=row.until,
        opened_at=row.opened_at,
        changed_at=row.changed_at,
        times_opened=row.opened,
        times_in_a_row=row.trips,
    )
