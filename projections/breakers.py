"""Breakers: for which agent types new work is, or was, held back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from psycopg.rows import class_row

from domain.breaker import BreakerClosed, BreakerEvent, BreakerHalfOpened, BreakerOpened
from domain.changed import changed
from domain.circuits import CircuitState
from domain.policies import Event
from domain.recorded import Recorded
from domain.values import Role
from projections.table import Connection
from projections.view import Key, View


@dataclass(frozen=True, kw_only=True)
class BreakerRow:
    """The breaker of one agent type that was open at least once."""

    role: Role
    agent_type: str
    state: CircuitState
    reason: str
    """Why it opened last."""

    ended: int
    failed: int
    """How many of that many attempts had failed when it opened last."""

    trips: int
    """How often in a row it has opened."""

    opened: int
    """How often it has opened, ever."""

    opened_at: datetime
    until: datetime | None
    """When an open one half-opens."""

    changed_at: datetime
    position: int


def keys(recorded: Recorded[Event]) -> Sequence[Key]:
    """Return the breaker an event speaks of."""
    event = recorded.event
    return ((getattr(event, "role"), getattr(event, "agent_type")),)  # noqa: B009 # of all that are heard


def fold(
    rows: Mapping[Key, BreakerRow], recorded: Recorded[Event]
) -> Iterable[tuple[Key, BreakerRow | None]]:
    """Return the breaker's row after one more event."""
    event, at, position = recorded.event, recorded.at, recorded.position
    key = keys(recorded)[0]
    row = rows.get(key)
    match event:
        case BreakerOpened():
            yield (
                key,
                BreakerRow(
                    role=event.role,
                    agent_type=event.agent_type,
                    state="open",
                    reason=event.reason,
                    ended=event.ended,
                    failed=event.failed,
                    trips=event.trips,
                    opened=(row.opened if row else 0) + 1,
                    opened_at=at,
                    until=event.until,
                    changed_at=at,
                    position=position,
                ),
            )
        case BreakerHalfOpened() if row:
            half_open = changed(
                row, state="half_open", until=None, changed_at=at, position=position
            )
            yield key, half_open
        case BreakerClosed() if row:
            closed = changed(row, state="closed", until=None, changed_at=at, position=position)
            yield key, closed
        case _:
            return


BREAKERS = View(
    name="breakers",
    version=1,
    row=BreakerRow,
    key=("role", "agent_type"),
    columns="""
        role text collate "C", agent_type text collate "C", state text not null,
        reason text not null, ended int not null, failed int not null, trips int not null,
        opened int not null, opened_at timestamptz not null, until timestamptz,
        changed_at timestamptz not null, position bigint not null
    """,
    hears=frozenset(get_args(BreakerEvent)),
    keys=keys,
    fold=fold,
)


async def list_breakers(connection: Connection) -> Sequence[BreakerRow]:
    """Return every breaker that was ever open, those that are not closed first."""
    async with connection.cursor(row_factory=class_row(BreakerRow)) as cursor:
        await cursor.execute(
            "select * from views.breakers_1 order by state = 'closed', role, agent_type"
        )
        return await cursor.fetchall()
