"""Attempts that have not ended: what the lease keeper watches over.

The coordinator keeps this view itself, beside its decisions; the projector keeps all others.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.rows import class_row

from domain.changed import changed
from domain.leases import DelayedKind
from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import (
    TASK_EVENTS,
    Deadlines,
    RunRevised,
    TaskDispatched,
    TaskStarted,
    Timeout,
)
from domain.steering import RunRolledBack
from domain.tasks import Effect
from domain.values import Lane, Role
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

    instance: str | None
    """Which start of that agent, where it said so."""

    agent_type: str
    role: Role
    lane: Lane
    delay: int
    """Seconds the work waited, or waits, before an agent gets it."""

    since: datetime
    """When it came into its state."""

    position: int
    """The task.dispatched event: what has to be published again if the work was lost."""

    effect: Effect
    lease_seconds: float | None
    """How long its agent may be silent, where it is not what agents may in general."""

    end_by: datetime | None
    """When the task has to have ended, whichever attempt it is."""

    due: datetime | None
    """When a timeout strikes, unless something happens before."""

    timeout: Timeout | None
    """Which one."""


def keys(recorded: Recorded[Event]) -> Sequence[Key]:
    """Return the tasks an event speaks of."""
    event = recorded.event
    if isinstance(event, RunRolledBack):
        return [(event.run_id, task_id) for task_id in event.tasks]
    if isinstance(event, RunRevised):
        return [(event.run_id, task_id) for task_id in sorted(event.was)]
    return ((recorded.stream, getattr(event, "task_id")),)  # noqa: B009 # of all that are heard


def fold(
    rows: Mapping[Key, AttemptRow], recorded: Recorded[Event]
) -> Iterable[tuple[Key, AttemptRow | None]]:
    """Return the task's open attempt after one more event; None when there is none any more."""
    event = recorded.event
    match event:
        case TaskDispatched():
            deadlines = event.deadlines or Deadlines()
            due, timeout = _first(("start", deadlines.start_by), ("total", deadlines.end_by))
            row = AttemptRow(
                run_id=event.run_id,
                task_id=event.task_id,
                epoch=event.epoch,
                state="dispatched",
                agent_id=None,
                instance=None,
                agent_type=event.agent,
                role=event.role,
                lane=event.lane,
                delay=event.delay,
                since=recorded.at,
                position=recorded.position,
                effect=event.effect,
                lease_seconds=deadlines.lease_seconds,
                end_by=deadlines.end_by,
                due=due,
                timeout=timeout,
            )
            yield (event.run_id, event.task_id), row
        case TaskStarted(run_id=run_id, task_id=task_id):
            was = rows[run_id, task_id]
            due, timeout = _first(("run", event.run_by), ("total", was.end_by))
            yield (
                (run_id, task_id),
                changed(
                    was,
                    state="started",
                    agent_id=event.agent_id,
                    instance=event.instance,
                    since=recorded.at,
                    due=due,
                    timeout=timeout,
                ),
            )
        case _:
            for key in keys(recorded):
                yield key, None


def _first(
    *timeouts: tuple[Timeout, datetime | None],
) -> tuple[datetime, Timeout] | tuple[None, None]:
    """Return the timeout that strikes first, if there is any."""
    struck: list[tuple[datetime, Timeout]] = [(at, what) for what, at in timeouts if at is not None]
    return min(struck) if struck else (None, None)


ATTEMPTS = View(
    name="attempts",
    version=2,
    row=AttemptRow,
    key=("run_id", "task_id"),
    columns="""
        run_id text collate "C", task_id text collate "C", epoch int not null,
        state text not null, agent_id text, instance text, agent_type text not null,
        role text not null, lane text not null, delay int not null, since timestamptz not null,
        position bigint not null, effect text not null, lease_seconds double precision,
        end_by timestamptz, due timestamptz, timeout text
    """,
    indexes=(
        "(state, since)",
        "(agent_id) where agent_id is not null",
        "(due) where due is not null",
    ),
    hears=frozenset({*TASK_EVENTS, RunRolledBack, RunRevised}),
    keys=keys,
    fold=fold,
)


async def list_attempts(
    connection: Connection, *, state: AttemptState | None = None, before: datetime | None = None
) -> Sequence[AttemptRow]:
    """Return open attempts, the longest in their state first; ``before`` leaves out later ones."""
    async with connection.cursor(row_factory=class_row(AttemptRow)) as cursor:
        await cursor.execute(
            "select * from views.attempts_2"
            " where (%(state)s::text is null or state = %(state)s)"
            " and (%(before)s::timestamptz is null or since < %(before)s)"
            " order by since, run_id, task_id",
            {"state": state, "before": before},
        )
        return await cursor.fetchall()


_DUE = "since + delay * interval '1 second'"
_WAITING = "from views.attempts_2 where state = 'dispatched'"
_UNTAKEN = f"{_WAITING} and position <= %(published)s"


async def count_late(
    connection: Connection, *, before: datetime, published: int
) -> Mapping[tuple[Role, str, Lane], int]:
    """Return how many attempts of each kind were due before a time, published and not started."""
    cursor = await connection.execute(
        f"select role, agent_type, lane, count(*) {_UNTAKEN}"
        f" and since < %(before)s and {_DUE} < %(before)s"
        " group by role, agent_type, lane order by role, agent_type, lane",
        {"before": before, "published": published},
    )
    return {(role, type_, lane): count for role, type_, lane, count in await cursor.fetchall()}


async def count_waiting(
    connection: Connection, *, before: datetime
) -> Mapping[tuple[Role, str], int]:
    """Return how many attempts for each type of agents were due before a time, and not started."""
    cursor = await connection.execute(
        f"select role, agent_type, count(*) {_WAITING}"
        f" and since < %(before)s and {_DUE} < %(before)s group by role, agent_type",
        {"before": before},
    )
    return {(role, type_): count for role, type_, count in await cursor.fetchall()}


async def list_late(
    connection: Connection,
    kind: tuple[Role, str, Lane],
    *,
    after: datetime,
    before: datetime,
    beyond: int,
    published: int,
    limit: int,
) -> Sequence[AttemptRow]:
    """Return the next attempts of a kind, not started, that were due between two times."""
    role, agent_type, lane = kind
    async with connection.cursor(row_factory=class_row(AttemptRow)) as cursor:
        await cursor.execute(
            f"select * {_UNTAKEN} and position > %(beyond)s"
            " and role = %(role)s and agent_type = %(agent_type)s and lane = %(lane)s"
            f" and since < %(before)s and {_DUE} >= %(after)s and {_DUE} < %(before)s"
            " order by position limit %(limit)s",
            {
                "role": role,
                "agent_type": agent_type,
                "lane": lane,
                "after": after,
                "before": before,
                "beyond": beyond,
                "published": published,
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def count_delayed(
    connection: Connection, *, after: datetime, beyond: int, published: int
) -> Mapping[DelayedKind, int]:
    """Return how many attempts are due only after a time, by their delay and kind of agents."""
    cursor = await connection.execute(
        f"select delay, role, agent_type, count(*) {_UNTAKEN} and position > %(beyond)s"
        f" and delay > 0 and {_DUE} > %(after)s group by 1, 2, 3 order by 1, 2, 3",
        {"after": after, "beyond": beyond, "published": published},
    )
    return {(delay, role, kind): count for delay, role, kind, count in await cursor.fetchall()}


async def list_delayed(
    connection: Connection,
    delay: int,
    *,
    after: datetime,
    beyond: int,
    published: int,
    limit: int,
) -> Sequence[AttemptRow]:
    """Return the next attempts with a delay that are due only after a time."""
    async with connection.cursor(row_factory=class_row(AttemptRow)) as cursor:
        await cursor.execute(
            f"select * {_UNTAKEN} and position > %(beyond)s"
            f" and delay = %(delay)s and {_DUE} > %(after)s order by position limit %(limit)s",
            {
                "delay": delay,
                "after": after,
                "beyond": beyond,
                "published": published,
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def list_due(connection: Connection, *, now: datetime, limit: int) -> Sequence[AttemptRow]:
    """Return the attempts whose timeout has struck, the longest overdue first."""
    async with connection.cursor(row_factory=class_row(AttemptRow)) as cursor:
        await cursor.execute(
            "select * from views.attempts_2 where due <= %s order by due, run_id, task_id limit %s",
            [now, limit],
        )
        return await cursor.fetchall()


async def read_attempts(
    connection: Connection, tasks: Sequence[tuple[str, str]]
) -> Sequence[AttemptRow]:
    """Return the open attempts at tasks, as far as there are any; a task is its run and its id."""
    async with connection.cursor(row_factory=class_row(AttemptRow)) as cursor:
        await cursor.execute(
            "select a.* from unnest(%s::text[], %s::text[]) as k(run_id, task_id)"
            " join views.attempts_2 a using (run_id, task_id)",
            [[run_id for run_id, _ in tasks], [task_id for _, task_id in tasks]],
        )
        return await cursor.fetchall()


async def list_untaken(connection: Connection, positions: Collection[int]) -> Collection[int]:
    """Return the positions, of these, where attempts were dispatched that nobody has started."""
    cursor = await connection.execute(
        "select position from views.attempts_2 where state = 'dispatched'"
        " and position = any(%s::bigint[])",
        [list(positions)],
    )
    return {int(position) for (position,) in await cursor.fetchall()}
