"""The table of dead letters, and what happened to each."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from bus.dead_letter_keeper import DeadLetter
from bus.differences import differences
from bus.letters import (
    STATUSES,
    Chosen,
    Edit,
    Entry,
    History,
    KeptLetter,
    LetterDecided,
    LetterGroup,
    LetterLine,
    LetterMoved,
    Shown,
    UnknownDeadLetter,
)
from infra.store.pools import connection_of

KEEPER: Final = "taskloom.keeper"
MOST_BYTES: Final = 8 * 1024 * 1024
"""Bytes of bodies that are read together; a single letter may have more."""

_COLUMNS: Final = sql.SQL(
    "id, message_id, reason, detail, exchange, routing_key, queue, headers, properties, body,"
    " died_at, fingerprint, type, shape, cause, status, first_died_at, deaths, redrives, edits,"
    " edited_body, edited, redrive"
)
_LINE: Final = sql.SQL(
    "id, status, reason, detail, type, exchange, routing_key, queue, message_id, cause,"
    " first_died_at, died_at, deaths, redrives, edits,"
    " octet_length(coalesce(edited_body, body)) as size"
)
_ADD: Final = (
    "with kept as (insert into dead_letters (message_id, reason, detail, exchange, routing_key,"
    " queue, headers, properties, body, died_at, first_died_at, fingerprint, type, shape, cause)"
    " select %(message_id)s, %(reason)s, %(detail)s, %(exchange)s, %(routing_key)s, %(queue)s,"
    " %(headers)s, %(properties)s, %(body)s, %(died_at)s, %(died_at)s, %(fingerprint)s, %(type)s,"
    " %(shape)s, %(cause)s"
    # Who buried it may have ended before it was acknowledged.
    " where not (%(is_redelivered)s and %(message_id)s <> '' and exists (select from dead_letters"
    " where message_id = %(message_id)s and queue = %(queue)s and body = %(body)s))"
    " on conflict (fingerprint) do nothing returning id)"
    " insert into dead_letter_history (letter, kind, number, at, actor, why, reason)"
    " select id, 'died', 0, %(died_at)s, %(actor)s, %(detail)s, %(reason)s from kept"
)
_DIE_AGAIN: Final = sql.SQL(
    "with earlier as (select id, redrives from dead_letters where id = %(letter)s"
    " and redrives >= %(number)s and %(body)s in (body, edited_body)"
    " and %(message_id)s in (message_id, edited->>'message_id') for update),"
    " death as (insert into dead_letter_history"
    " (letter, kind, number, at, actor, why, reason, redrive)"
    " select id, 'died', %(number)s, %(died_at)s, %(actor)s, %(detail)s, %(reason)s,"
    " (select h.redrive from dead_letter_history h where h.letter = earlier.id"
    " and h.kind = 'redriven' and h.number = %(number)s) from earlier"
    " on conflict (letter, number, kind) where kind in ('died', 'accepted') do nothing"
    " returning letter),"
    " kept as (update dead_letters l set deaths = deaths + 1, died_at = %(died_at)s,"
    " reason = %(reason)s, detail = %(detail)s, shape = %(shape)s, cause = %(cause)s,"
    # What was accepted once stays accepted, whatever becomes of its copies.
    " status = case when redrives = %(number)s and status in ('redriving', 'redriven')"
    " then 'kept' else status end from death where l.id = death.letter)"
    " select count(*) from earlier"
)


class DeadLetterTable:
    """Keeps dead letters, each once, and for ever."""

    def __init__(self, pool: AsyncConnectionPool, *, patience: float | None = None) -> None:
        """Take a pool; ``patience`` is how many seconds to wait for a connection of it."""
        self._pool = pool
        self._patience = patience

    async def keep(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters; those that are there already are passed over.

        A message that was delivered and buried twice is one letter. What dies again after it was
        sent again is the letter that it has been, not another one.
        """
        async with self._connection() as connection, connection.transaction():
            # In the order of their numbers, as everybody locks them: else two could wait for
            # each other.
            again = sorted(
                (letter for letter in letters if letter.earlier), key=lambda one: one.earlier or ()
            )
            known = {id(one) for one in again if await _dies_again(connection, one)}
            rows = [_row(letter) for letter in letters if id(letter) not in known]
            async with connection.cursor() as cursor:
                await cursor.executemany(_ADD, rows)

    async def list(
        self, chosen: Chosen | None = None, *, before: int | None = None, limit: int = 100
    ) -> Sequence[LetterLine]:
        """Return letters with a lower number than ``before``, the latest first."""
        where, values = conditions(chosen, default="open")
        async with (
            self._connection() as connection,
            connection.cursor(row_factory=class_row(LetterLine)) as cursor,
        ):
            await cursor.execute(
                sql.SQL(
                    "select {} from dead_letters where {}"
                    " and (%(before)s::bigint is null or id < %(before)s)"
                    " order by id desc limit %(limit)s"
                ).format(_LINE, where),
                {**values, "before": before, "limit": limit},
            )
            return await cursor.fetchall()

    async def count(self, chosen: Chosen | None = None) -> int:
        """Return how many there are."""
        where, values = conditions(chosen, default="open")
        async with self._connection() as connection:
            question = sql.SQL("select count(*) from dead_letters where {}").format(where)
            return await counted(connection, question, values)

    async def groups(
        self, chosen: Chosen | None = None, *, limit: int = 100
    ) -> Sequence[LetterGroup]:
        """Return the groups of letters, the largest first."""
        where, values = conditions(chosen, default="open")
        async with (
            self._connection() as connection,
            connection.cursor(row_factory=class_row(LetterGroup)) as cursor,
        ):
            await cursor.execute(
                sql.SQL(
                    "select cause as name, reason, shape, exchange, queue, type, count(*) as count,"
                    " min(first_died_at) as first_died_at, max(died_at) as last_died_at,"
                    " max(id) as example from dead_letters where {}"
                    " group by cause, reason, shape, exchange, queue, type"
                    " order by count(*) desc, cause limit %(limit)s"
                ).format(where),
                {**values, "limit": limit},
            )
            return await cursor.fetchall()

    async def show(self, number: int) -> History:
        """Return one letter with its history.

        Raises:
            UnknownDeadLetter: There is none.
        """
        async with self._connection() as connection:
            letter = await _read(connection, number)
            async with connection.cursor(row_factory=class_row(Entry)) as cursor:
                await cursor.execute(
                    "select kind, number, at, actor, why, reason, diff, redrive, position"
                    " from dead_letter_history where letter = %s order by id limit 1000",
                    [number],
                )
                return History(letter=letter, entries=await cursor.fetchall())

    async def some(
        self, chosen: Chosen | None = None, *, after: int = 0, limit: int = 100
    ) -> Sequence[KeptLetter]:
        """Return whole letters with a higher number, in order: no more than memory can hold."""
        where, values = conditions(chosen, default="open")
        async with self._connection() as connection:
            return await some_of(connection, where, values, after=after, limit=limit)

    async def edit(self, number: int, edit: Edit, *, actor: str, why: str) -> KeptLetter:
        """Change what would be sent; what came is kept.

        Raises:
            UnknownDeadLetter: There is none.
            LetterDecided: It is not kept.
            LetterMoved: Others have edited it since it was read.
        """
        async with self._connection() as connection, connection.transaction():
            letter = await _read(connection, number, is_locked=True)
            if letter.status != "kept":
                raise LetterDecided(number, letter.status, "edited")
            if edit.edits not in (None, letter.edits):
                raise LetterMoved(number)
            diff = differences(letter, edit)
            if not diff:
                return letter
            other = edit.model_dump(exclude={"body", "edits"}, exclude_none=True)
            await connection.execute(
                "update dead_letters set edits = edits + 1, edited = edited || %(other)s,"
                " edited_body = coalesce(%(body)s, edited_body) where id = %(id)s",
                {"other": Jsonb(other), "body": edit.body, "id": number},
            )
            await connection.execute(
                "insert into dead_letter_history"
                " (letter, kind, number, at, actor, why, diff, content)"
                " values (%s, 'edited', %s, now(), %s, %s, %s, %s)",
                [number, letter.redrives, actor, why, Jsonb(diff), edit.body],
            )
            return await _read(connection, number)

    async def discard(self, chosen: Chosen, *, actor: str, why: str, limit: int) -> int:
        """Decide that letters are not wanted any more, at most so many; return how many."""
        where, values = conditions(chosen, default="kept", within=("kept", "redriven"))
        async with self._connection() as connection:
            return await counted(
                connection,
                sql.SQL(
                    "with meant as (select id from dead_letters"
                    " where {} order by id limit %(limit)s for update),"
                    " gone as (update dead_letters l set status = 'discarded' from meant"
                    " where l.id = meant.id returning l.id, l.redrives),"
                    " said as (insert into dead_letter_history"
                    " (letter, kind, number, at, actor, why)"
                    " select id, 'discarded', redrives, now(), %(actor)s, %(why)s from gone)"
                    " select count(*) from gone"
                ).format(where),
                {**values, "actor": actor, "why": why, "limit": limit},
            )

    def _connection(self) -> AbstractAsyncContextManager[psycopg.AsyncConnection]:
        return connection_of(self._pool, patience=self._patience)


def conditions(
    chosen: Chosen | None, *, default: Shown, within: Sequence[str] = STATUSES["all"]
) -> tuple[sql.Composable, dict[str, Any]]:
    """Return what is true of the chosen letters as SQL, and the values in it.

    A letter that is named is meant wherever it stands ``within``, unless it is said otherwise.
    """
    chosen = chosen or Chosen()
    meant = chosen.status or ("all" if chosen.ids else default)
    values: dict[str, Any] = {"statuses": [one for one in STATUSES[meant] if one in within]}
    parts: list[LiteralString] = ["status = any(%(statuses)s)"]
    if chosen.ids:
        parts.append("id = any(%(ids)s)")
        values["ids"] = list(chosen.ids)
    columns: tuple[tuple[LiteralString, LiteralString, object], ...] = (
        ("reason = %(reason)s", "reason", chosen.reason),
        ("queue = %(queue)s", "queue", chosen.queue),
        ("type = %(type)s", "type", chosen.type),
        ("cause = %(group)s", "group", chosen.group),
        ("died_at >= %(since)s", "since", chosen.since),
    )
    for condition, name, value in columns:
        if value is not None:
            parts.append(condition)
            values[name] = value
    return sql.SQL(" and ".join(parts)), values


async def some_of(
    connection: psycopg.AsyncConnection[Any],
    where: sql.Composable,
    values: dict[str, Any],
    *,
    after: int,
    limit: int,
) -> Sequence[KeptLetter]:
    """Return letters after a number: the first of them, and as many as fit into memory with it."""
    cursor = await connection.execute(
        sql.SQL(
            "select id, octet_length(coalesce(edited_body, body)) + octet_length(body)"
            " from dead_letters where {} and id > %(after)s order by id limit %(limit)s"
        ).format(where),
        {**values, "after": after, "limit": limit},
    )
    fitting: list[int] = []
    size = 0
    for number, weight in await cursor.fetchall():
        size += int(weight)
        if fitting and size > MOST_BYTES:
            break
        fitting.append(int(number))
    return await letters_of(connection, fitting)


async def letters_of(
    connection: psycopg.AsyncConnection[Any], numbers: Sequence[int]
) -> Sequence[KeptLetter]:
    """Return letters by their numbers, in order."""
    if not numbers:
        return []
    async with connection.cursor(row_factory=class_row(KeptLetter)) as cursor:
        await cursor.execute(
            sql.SQL("select {} from dead_letters where id = any(%s) order by id").format(_COLUMNS),
            [list(numbers)],
        )
        return await cursor.fetchall()


async def counted(
    connection: psycopg.AsyncConnection[Any],
    question: sql.SQL | sql.Composed,
    values: dict[str, Any],
) -> int:
    """Return the one number that a question has as its answer."""
    row = await (await connection.execute(question, values)).fetchone()
    return 0 if row is None else int(row[0])


async def _dies_again(connection: psycopg.AsyncConnection[Any], letter: DeadLetter) -> bool:
    if letter.earlier is None:
        return False
    number, redrive = letter.earlier
    values = _row(letter) | {"letter": number, "number": redrive}
    return bool(await counted(connection, _DIE_AGAIN, values))


async def _read(
    connection: psycopg.AsyncConnection[Any], number: int, *, is_locked: bool = False
) -> KeptLetter:
    lock = sql.SQL("for update" if is_locked else "")
    question = sql.SQL("select {} from dead_letters where id = %s {}").format(_COLUMNS, lock)
    async with connection.cursor(row_factory=class_row(KeptLetter)) as cursor:
        await cursor.execute(question, [number])
        letter = await cursor.fetchone()
    if letter is None:
        raise UnknownDeadLetter(number)
    return letter


def _row(letter: DeadLetter) -> dict[str, Any]:
    return asdict(letter) | {
        "headers": Jsonb(letter.headers),
        "properties": Jsonb(letter.properties),
        "fingerprint": letter.fingerprint,
        "cause": letter.cause,
        "actor": KEEPER,
    }
