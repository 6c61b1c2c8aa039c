"""Forgetting a person: the key goes first, then every copy that was readable without it.

The log stays as it is, and its seals hold: they are over what is encrypted. The rest is copies.
Views are folded anew and the old tables dropped, snapshots and dead letters deleted, and what
PostgreSQL leaves in its files of rows that are gone is written out of them.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg_pool import AsyncConnectionPool

from domain.errors import Conflict, NotFound
from domain.personal import FORGOTTEN
from domain.runs_of_plans import plan_behind
from infra.store.store import PostgresStore
from projections.catalog import VIEWS
from projections.positions import prepare
from projections.rebuild import rebuild

_RELOADED_WITHIN: Final = 10.0

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

REWRITTEN: Final = (
    "keys.data_keys",
    "identity.users",
    "identity.sessions",
    "identity.refresh_tokens",
    "identity.keys",
    "idempotency_keys",
    "subscriptions",
    "snapshots",
    "dead_letters",
    "dead_letter_history",
    "dead_letter_redrives",
    "views.failures",
    "parked",
    "pg_statistic",
)
"""Tables whose files may still hold what was deleted; the statistics hold the values seen most."""

LETTERS: Final = ("dead_letter_history", "dead_letters")

_ACCOUNT: Final = (
    "delete from subscriptions where owner = any(%s)",
    "delete from idempotency_keys where caller = any(%s)",
    "delete from identity.keys where owner = any(%s) or subject = any(%s)",
    "delete from identity.users where user_id = any(%s)",
)
"""What opens doors for somebody, and the names they go by; their sessions go with them."""

_SAID: Final = (
    "update dead_letters set edited_body = null, edited = '{}' where id in"
    " (select letter from dead_letter_history where kind = 'edited' and actor = any(%(whom)s))",
    "update dead_letter_history set why = %(forgotten)s, diff = null, content = null"
    " where actor = any(%(whom)s)",
    "update dead_letter_redrives set why = %(forgotten)s where actor = any(%(whom)s)",
)
"""What somebody has said of the letters of others, and has put in the place of what they say."""

_TRIGGERS_OFF: Final = sql.SQL("alter table {} disable trigger user")
_TRIGGERS_ON: Final = sql.SQL("alter table {} enable trigger user")
_STREAMS: Final = (
    "select distinct originator_id from events where originator_id = any(%(roots)s)"
    " or originator_id like any(%(runs)s) order by 1"
)
_LETTERS: Final = (
    "select l.id from dead_letters l where exists (select from unnest(%s::text[]) word"
    " where position(convert_to(word, 'utf8') in l.body) > 0"
    " or position(convert_to(word, 'utf8') in coalesce(l.edited_body, '')) > 0"
    " or position(word in l.headers::text || l.detail || l.edited::text) > 0)"
)


class NobodyKnown(NotFound):
    """There is no key of such a person."""

    code = "unknown-subject"

    def __init__(self, subject: str) -> None:
        super().__init__(f"there is nothing personal of {subject}, or it is forgotten already")


class StillAtWork(Conflict):
    """Something of a person is being carried out, and needs what is to be forgotten."""

    code = "still-at-work"

    def __init__(self, streams: Sequence[str]) -> None:
        names = ", ".join(streams[:5]) + (" and others" if len(streams) > 5 else "")
        super().__init__(f"{names} has not ended; cancel it first")


@dataclass(slots=True, kw_only=True)
class Forgotten:
    """What was forgotten, and what could not be."""

    subject: str
    streams: int
    letters: int = 0
    views: int = 0
    left: list[str] = field(default_factory=list[str])
    """What may still be somewhere, in words."""


async def forget(
    subject: str,
    *,
    actor: str,
    store: PostgresStore,
    pool: AsyncConnectionPool,
    told: Callable[[str], None] = lambda _: None,
) -> Forgotten:
    """Forget a person, for good.

    Raises:
        NobodyKnown: There is nothing of them.
        StillAtWork: A plan or a run of theirs has not ended.
    """
    async with pool.connection() as connection:
        await connection.execute("set statement_timeout = 0")
        await prepare(connection, VIEWS)
        key_id, roots = await _key_of(connection, subject)
        streams = await _streams_of(connection, roots)
        if busy := await _busy(store, streams):
            raise StillAtWork(busy)
        told(f"forgetting {len(streams)} streams")
        await _delete_key(connection, key_id, subject, actor=actor, streams=len(streams))
        store.forget_what_was_read()
        done = Forgotten(subject=subject, streams=len(streams))
        done.letters = await _delete_copies(connection, subject, streams)
    for view in VIEWS:
        told(f"folding the view {view.name} anew")
        await rebuild(view, log=store.log(), pool=pool)
        done.views += 1
    async with pool.connection() as connection:
        await connection.execute("set statement_timeout = 0")
        told("writing what is gone out of the files of the database")
        await _write_out(connection, done)
        await connection.execute("reset statement_timeout")
    return done


async def _key_of(connection: Connection, subject: str) -> tuple[int, list[str]]:
    cursor = await connection.execute("select id from keys.data_keys where subject = %s", [subject])
    row = await cursor.fetchone()
    if row is None:
        raise NobodyKnown(subject)
    cursor = await connection.execute("select stream from keys.streams where key_id = %s", row)
    return int(row[0]), [str(stream) for (stream,) in await cursor.fetchall()]


async def _streams_of(connection: Connection, roots: Sequence[str]) -> list[str]:
    """Return the plans with all of their runs."""
    runs = [f"exec\\_{root.removeprefix('plan_')}-%" for root in roots if root.startswith("plan_")]
    cursor = await connection.execute(_STREAMS, {"roots": list(roots), "runs": runs})
    streams = [str(stream) for (stream,) in await cursor.fetchall()]
    # A run of plan_a-b begins like one of plan_a.
    whole = frozenset(roots)
    return [each for each in streams if each in whole or plan_behind(each) in whole]


async def _busy(store: PostgresStore, streams: Sequence[str]) -> list[str]:
    from domain.plan import Plan
    from domain.run import Run

    busy: list[str] = []
    for stream in streams:
        state, _ = await store.load(stream)
        if (isinstance(state, Plan) and not state.is_over) or (
            isinstance(state, Run) and state.status in ("running", "paused")
        ):
            busy.append(stream)
    return busy


async def _delete_key(
    connection: Connection, key_id: int, subject: str, *, actor: str, streams: int
) -> None:
    async with connection.transaction():
        await connection.execute("delete from keys.data_keys where id = %s", [key_id])
        # What is noted of whoever it was from now on gets another key.
        await connection.execute(
            "delete from keys.streams where key_id = %s and stream like 'by %%'", [key_id]
        )
        await connection.execute(
            "insert into keys.forgotten (key_id, subject, streams, actor) values (%s, %s, %s, %s)",
            [key_id, subject, streams, actor],
        )
        await connection.execute("notify forgotten")


async def _delete_copies(connection: Connection, subject: str, streams: Sequence[str]) -> int:
    """Delete the account, snapshots and dead letters, and return how many letters."""
    async with connection.transaction():
        await connection.execute("set local idle_in_transaction_session_timeout = 0")
        await connection.execute(
            "delete from snapshots where originator_id = any(%s)", [list(streams)]
        )
        await connection.execute("delete from views.failures")
        whom = [subject, subject.removeprefix("users/")]
        for statement in _ACCOUNT:
            await connection.execute(statement, [whom] * statement.count("%s"))
        await connection.execute("delete from parked where stream = any(%s)", [list(streams)])
        cursor = await connection.execute(_LETTERS, [[subject, *streams]])
        letters = [int(number) for (number,) in await cursor.fetchall()]
        # A letter stays as it came, but for this.
        for table in LETTERS:
            await connection.execute(_TRIGGERS_OFF.format(sql.Identifier(table)))
        for statement in _SAID:
            await connection.execute(statement, {"forgotten": FORGOTTEN, "whom": whom})
        await connection.execute(
            "delete from dead_letter_history where letter = any(%s)", [letters]
        )
        await connection.execute("delete from dead_letters where id = any(%s)", [letters])
        for table in LETTERS:
            await connection.execute(_TRIGGERS_ON.format(sql.Identifier(table)))
    return len(letters)


async def _write_out(connection: Connection, done: Forgotten) -> None:
    """Have PostgreSQL write its files anew, without what was deleted."""
    try:
        # An empty table keeps the statistics of what was in it.
        await connection.execute(
            "delete from pg_statistic where starelid = any(%s::regclass[])",
            [[table for table in REWRITTEN if table != "pg_statistic"]],
        )
    except psycopg.Error as error:
        done.left.append(f"the statistics of tables ({_words(error)})")
    for table in REWRITTEN:
        name = sql.SQL(".").join(map(sql.Identifier, table.split(".")))
        try:
            await connection.execute(sql.SQL("vacuum full {}").format(name))
        except psycopg.Error as error:
            done.left.append(f"rows of {table} that are gone, in its file ({_words(error)})")
    try:
        # Segments of the write-ahead log are renamed and used again, with what stands in them.
        await connection.execute("alter system set wal_recycle = off")
        await connection.execute("select pg_reload_conf()")
        await _until_known(connection)
        for _ in range(2):
            await connection.execute("select pg_switch_wal()")
            await connection.execute("checkpoint")
        await connection.execute("alter system reset wal_recycle")
        await connection.execute("select pg_reload_conf()")
    except (psycopg.Error, TimeoutError) as error:
        done.left.append(
            f"the write-ahead log, until PostgreSQL has used its segments again ({_words(error)})"
        )
    done.left += [
        "backups, replicas and archived write-ahead log: what was forgotten is in keys.forgotten;"
        " forget it once more after restoring one",
        "exports, and what other systems have heard",
        "messages that wait in RabbitMQ, and the files of its queues: infra/rabbitmq/README.md says"
        " how it loses them",
    ]


async def _until_known(connection: Connection) -> None:
    """Wait until a setting that was loaded again has come to us, and so to the checkpointer."""
    async with asyncio.timeout(_RELOADED_WITHIN):
        while True:
            row = await (await connection.execute("show wal_recycle")).fetchone()
            if row is not None and row[0] == "off":
                return
            await asyncio.sleep(0.02)


def _words(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
