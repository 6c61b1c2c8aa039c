"""Attempts that have not ended: what the lease keeper watches over.

The coordinator keeps this view itself, beside its decisions; the projector keeps all others.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.rows import class_row

from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import (
    TASK_EVENTS,
    TaskDispatched,
    TaskStarted,
)
from domain.values import Lane, Role
from projections.changed import changed
from projections.table import Connection
from projections.view import Key, View

AttemptState = Literal["dispatched", "started"]


@dataclass(frozen=True, kw_only=True)
class AttemptRow:
    """The open attempt at one task."""

    run_id: str
    task_id: str
    epoch: int
    state: AttemptState
    agent_id: str | None
    """Who started it."""

    agent_type: str
    role: Role
    lane: Lane
    delay: int
    """Seconds the work waited, or waits, before an agent gets it."""

    since: datetime
    """When it came into its state."""

    position: int
    """The task.dispatched event: what has to be published again if the work was lost."""


def keys(recorded: Recorded[Event]) -> Sequence[Key]:
    """Return the task an event speaks of."""
    return ((recorded.stream, getattr(recorded.event, "task_id")),)  # noqa: B009 # of all that are heard


def fold(
    rows: Mapping[Key, AttemptRow], recorded: Recorded[Event]
) -> Iterable[tuple[Key, AttemptRow | None]]:
    """Return the task's open attempt after one more event; None when there is none any more."""
    key = keys(recorded)[0]
    event = recorded.event
    match event:
        case TaskDispatched():
            row = AttemptRow(
                run_id=event.run_id,
                task_id=event.task_id,
                epoch=event.epoch,
                state="dispatched",
                agent_id=None,
                agent_type=event.agent,
                role=event.role,
                lane=event.lane,
                delay=event.delay,
                since=recorded.at,
                position=recorded.position,
            )
            yield key, row
        case TaskStarted(agent_id=agent_id):
            yield key, changed(rows[key], state="started", agent_id=agent_id, since=recorded.at)
        case _:
            yield key, None


ATTEMPTS = View(
    name="attempts",
    version=1,
    row=AttemptRow,
    key=("run_id", "task_id"),
    columns="""
        run_id text collate "C", task_id text collate "C", epoch int not null,
        state text not null, agent_id text, agent_type text not null, role text not null,
        lane text not null, delay int not null, since timestamptz not null,
        position bigint not null
    """,
    indexes=("(state, since)", "(agent_id) where agent_id is not null"),
    hears=TASK_EVENTS,
    keys=keys,
    fold=fold,
)


async def list_attempts(
    connection: Connection, *, state: AttemptState | None = None, before: datetime | None = None
) -> Sequence[AttemptRow]:
    """Return open attempts, the longest in their state first; ``before`` leaves out later ones."""
    async with connection.cursor(row_factory=class_row(AttemptRow)) as cursor:
        await cursor.execute(
            "select * from views.attempts_1"
            " where (%(state)s::text is null or state = %(state)s)"
            " and (%(before)s::timestamptz is null or since < %(before)s)"
            " order by since, run_id, task_id",
            {"state": state, "before": before},
        )
        return await cursor.fetchall()


async def list_waiting_kinds(
    connection: Connection, *, before: datetime
) -> Sequence[tuple[Role, str, Lane]]:
    """Return the kinds of attempts that were dispatched before a time and are not started."""
    cursor = await connection.execute(
        "select distinct role, agent_type, lane from views.attempts_1"
        " where state = 'dispatched' and since < %s order by role, agent_type, lane",
        [before],
    )
    return [(role, agent_type, lane) for role, agent_type, lane in await cursor.fetchall()]


async def list_waiting(
    connection: Connection, kind: tuple[Role, str, Lane], *, before: datetime, limit: int
) -> Sequence[AttemptRow]:
    """Return the oldest attempts of a kind that were dispatched before a time, not started."""
    async with connection.cursor(row_factory=class_row(AttemptRow)) as cursor:
        await cursor.execute(
            "select * from views.attempts_1 where state = 'dispatched' and since < %s"
            " and (role, agent_type, lane) = (%s, %s, %s)"
            " order by since, run_id, task_id limit %s",
            [before, *kind, limit],
        )
        return await cursor.fetchall()
