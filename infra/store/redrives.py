"""The table of redrives, and the claims by which each letter is sent by one of them at a time."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from bus.letters import (
    SENT_AGAIN,
    CannotBeSentAgain,
    Chosen,
    KeptLetter,
    LetterDecided,
    NoSuchLetters,
    UnknownDeadLetter,
    UnknownRedrive,
)
from bus.redrives import Acceptance, Fates, Redrive, Standing, Wish
from infra.store.dead_letters import conditions, letters_of, some_of
from infra.store.pools import connection_of

REDRIVER: Final = "taskloom.redriver"
RECORDER: Final = "taskloom.recorder"

_AGAIN: Final = ("kept", "redriven", "discarded")
"""Where a letter may stand to be sent again: nobody knows what became of a redriven one."""

_REDRIVES: Final = sql.SQL(
    "select r.id, r.actor, r.asked_at, r.why, r.chosen, r.rate, r.canary, r.only_accepted,"
    " r.status, r.outcome, r.ended_at, r.is_canary_well, r.total, r.skipped,"
    " count(h.id) filter (where h.kind = 'redriven') as claimed,"
    " count(h.id) filter (where h.kind = 'accepted') as accepted,"
    " count(h.id) filter (where h.kind = 'died') as died,"
    " count(h.id) filter (where h.kind = 'returned') as returned"
    " from dead_letter_redrives r left join dead_letter_history h on h.redrive = r.id"
    " where {} group by r.id order by r.id desc"
)
_CLAIM: Final = sql.SQL(
    "with meant as (select id from dead_letters where id = any(%(letters)s)"
    # Once it is locked, it is as it was chosen: others may have claimed and sent it meanwhile.
    " and {} order by id for update),"
    " claimed as (update dead_letters l set status = 'redriving', redrive = %(redrive)s,"
    " redrives = redrives + 1 from meant where l.id = meant.id returning l.id, l.redrives),"
    " said as (insert into dead_letter_history (letter, kind, number, at, actor, why, redrive)"
    " select id, 'redriven', redrives, now(), %(actor)s, %(why)s, %(redrive)s from claimed"
    " order by id)"
    " select id from claimed"
)
_MARK: Final = (
    "with meant as (select id from dead_letters where id = any(%(letters)s)"
    " and status = 'redriving' and redrive = %(redrive)s order by id for update)"
    " update dead_letters l set status = 'redriven' from meant where l.id = meant.id"
)
_RETURN: Final = (
    "with meant as (select id from dead_letters where id = any(%(letters)s)"
    " and status = 'redriving' and redrive = %(redrive)s order by id for update),"
    " kept as (update dead_letters l set status = 'kept' from meant where l.id = meant.id"
    " returning l.id, l.redrives)"
    " insert into dead_letter_history (letter, kind, number, at, actor, why, redrive)"
    " select id, 'returned', redrives, now(), %(actor)s, %(why)s, %(redrive)s from kept"
)
_ACCEPT: Final = (
    "with meant as (select id, redrives from dead_letters where id = %(letter)s"
    " and redrives >= %(number)s"
    " and %(message_id)s in (message_id, edited->>'message_id') for update),"
    " said as (insert into dead_letter_history"
    " (letter, kind, number, at, actor, why, redrive, position)"
    " select id, 'accepted', %(number)s, now(), %(actor)s, '',"
    " (select h.redrive from dead_letter_history h where h.letter = meant.id"
    " and h.kind = 'redriven' and h.number = %(number)s), %(position)s from meant"
    " on conflict (letter, number, kind) where kind in ('died', 'accepted') do nothing"
    " returning letter)"
    " update dead_letters l set status = 'accepted' from said where l.id = said.letter"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    id: int
    actor: str
    asked_at: datetime
    why: str
    chosen: dict[str, Any]
    rate: float | None
    canary: int
    only_accepted: bool
    status: Standing
    outcome: str
    ended_at: datetime | None
    is_canary_well: bool
    total: int
    skipped: int
    claimed: int
    accepted: int
    died: int
    returned: int

    def redrive(self) -> Redrive:
        return Redrive(
            id=self.id,
            actor=self.actor,
            asked_at=self.asked_at,
            wish=Wish(
                chosen=Chosen.model_validate(self.chosen),
                why=self.why,
                rate=self.rate,
                canary=self.canary,
                only_accepted=self.only_accepted,
            ),
            status=self.status,
            outcome=self.outcome,
            ended_at=self.ended_at,
            is_canary_well=self.is_canary_well,
            fates=Fates(
                total=self.total,
                claimed=self.claimed,
                accepted=self.accepted,
                died=self.died,
                returned=self.returned,
                skipped=self.skipped,
            ),
        )


class RedriveTable:
    """Keeps redrives, and gives letters to whoever carries one out."""

    def __init__(self, pool: AsyncConnectionPool, *, patience: float | None = None) -> None:
        """Take a pool; ``patience`` is how many seconds to wait for a connection of it."""
        self._pool = pool
        self._patience = patience

    async def ask(self, wish: Wish, *, actor: str, key: str | None = None) -> Redrive:
        """Accept a wish, which is carried out from now on; the same key again is the same wish.

        Raises:
            UnknownDeadLetter: A letter that was named does not exist.
            LetterDecided: One that was named was accepted, or is under way.
            CannotBeSentAgain: One that was named came from elsewhere.
            NoSuchLetters: There is nothing to send.
        """
        async with self._connection() as connection, connection.transaction():
            if key is not None and (known := await _with_key(connection, key)) is not None:
                return await _show(connection, known)
            await _check(connection, wish.chosen.ids)
            where, values = _meant(wish.chosen)
            row = await (
                await connection.execute(
                    sql.SQL("select count(*), max(id) from dead_letters where {}").format(where),
                    values,
                )
            ).fetchone()
            total, last = row or (0, None)
            if not total:
                raise NoSuchLetters
            cursor = await connection.execute(
                "insert into dead_letter_redrives (key, actor, why, chosen, rate, canary,"
                " is_canary_well, only_accepted, total, up_to)"
                " values (%(key)s, %(actor)s, %(why)s, %(chosen)s, %(rate)s, %(canary)s,"
                " %(is_canary_well)s, %(only_accepted)s, %(total)s, %(up_to)s)"
                " on conflict (key) do nothing returning id",
                {
                    "key": key,
                    "actor": actor,
                    "why": wish.why,
                    "chosen": Jsonb(wish.chosen.model_dump(mode="json", exclude_none=True)),
                    "rate": wish.rate,
                    "canary": wish.canary,
                    "is_canary_well": wish.canary == 0,
                    "only_accepted": wish.only_accepted,
                    "total": total,
                    "up_to": last,
                },
            )
            made = await cursor.fetchone()
            number = int(made[0]) if made else await _with_key(connection, key or "")
            return await _show(connection, number or 0)

    async def show(self, number: int) -> Redrive:
        """Return one redrive.

        Raises:
            UnknownRedrive: There is none.
        """
        async with self._connection() as connection:
            return await _show(connection, number)

    async def list(self, *, before: int | None = None, limit: int = 50) -> Sequence[Redrive]:
        """Return redrives with a lower number than ``before``, the latest first."""
        async with self._connection() as connection:
            return await _redrives(
                connection,
                "r.id in (select id from dead_letter_redrives where %(before)s::bigint is null"
                " or id < %(before)s order by id desc limit %(limit)s)",
                {"before": before, "limit": limit},
            )

    async def end(self, number: int, status: Standing, *, outcome: str = "") -> Redrive:
        """End a redrive, unless it has ended: what is under way is still sent.

        Raises:
            UnknownRedrive: There is none.
        """
        async with self._connection() as connection:
            await connection.execute(
                "update dead_letter_redrives set status = %s, outcome = %s, ended_at = now()"
                " where id = %s and status = 'running'",
                [status, outcome, number],
            )
            return await _show(connection, number)

    async def under_way(self) -> Sequence[Redrive]:
        """Return redrives that run, or have left letters under way."""
        async with self._connection() as connection:
            return await _redrives(
                connection,
                "r.status = 'running' or r.id in"
                " (select redrive from dead_letters where status = 'redriving')",
                {},
            )

    async def left(self, redrive: int, *, limit: int) -> Sequence[KeptLetter]:
        """Return letters that are claimed, and perhaps sent, by a redrive."""
        async with self._connection() as connection:
            return await some_of(
                connection,
                sql.SQL("status = 'redriving' and redrive = %(redrive)s"),
                {"redrive": redrive},
                after=0,
                limit=limit,
            )

    async def next(self, redrive: int, *, limit: int) -> Sequence[KeptLetter]:
        """Return the letters that a redrive has not looked at yet, as many as fit into memory.

        There are none when it has ended.
        """
        async with self._connection() as connection:
            row = await (
                await connection.execute(
                    "select chosen, after, up_to from dead_letter_redrives"
                    " where id = %s and status = 'running'",
                    [redrive],
                )
            ).fetchone()
            if row is None:
                return []
            chosen, after, up_to = row
            where, values = _meant(Chosen.model_validate(chosen))
            return await some_of(
                connection,
                sql.SQL("{} and id <= %(up_to)s").format(where),
                {**values, "up_to": up_to},
                after=after,
                limit=limit,
            )

    async def claim(
        self, redrive: int, letters: Sequence[int], *, up_to: int, skipped: int
    ) -> Sequence[KeptLetter]:
        """Claim letters before they are sent, and move on to ``up_to``.

        What others have claimed or decided meanwhile is not returned, and nothing at all when the
        redrive has ended.
        """
        async with self._connection() as connection, connection.transaction():
            cursor = await connection.execute(
                "update dead_letter_redrives set after = greatest(after, %s),"
                " skipped = skipped + %s where id = %s and status = 'running'"
                " returning actor, why, chosen",
                [up_to, skipped, redrive],
            )
            asked = await cursor.fetchone()
            if asked is None or not letters:
                return []
            actor, why, chosen = asked
            where, values = _meant(Chosen.model_validate(chosen))
            told = {"letters": list(letters), "redrive": redrive, "actor": actor, "why": why}
            claimed = await connection.execute(_CLAIM.format(where), {**values, **told})
            numbers = [int(row[0]) for row in await claimed.fetchall()]
            return await letters_of(connection, numbers)

    async def sent(self, redrive: int, letters: Sequence[int]) -> None:
        """Remember that the broker took charge of letters."""
        async with self._connection() as connection:
            await connection.execute(_MARK, {"letters": list(letters), "redrive": redrive})

    async def returned(self, redrive: int, letters: Sequence[int], *, why: str) -> None:
        """Keep letters again that no queue has taken."""
        async with self._connection() as connection:
            await connection.execute(
                _RETURN,
                {"letters": list(letters), "redrive": redrive, "actor": REDRIVER, "why": why},
            )

    async def canaries(self, redrive: int) -> Sequence[KeptLetter]:
        """Return the letters of a redrive that wait for their fate."""
        async with self._connection() as connection:
            return await some_of(
                connection,
                sql.SQL("status = 'redriven' and redrive = %(redrive)s"),
                {"redrive": redrive},
                after=0,
                limit=1_000,
            )

    async def canary_is_well(self, redrive: int) -> None:
        """Remember that the first letters were all accepted."""
        async with self._connection() as connection:
            await connection.execute(
                "update dead_letter_redrives set is_canary_well = true where id = %s", [redrive]
            )

    async def accepted(self, acceptances: Sequence[Acceptance]) -> None:
        """Remember that what letters say is recorded; saying it again does no harm."""
        ordered = sorted(acceptances, key=lambda one: one.letter)
        async with (
            self._connection() as connection,
            connection.transaction(),
            connection.cursor() as cursor,
        ):
            await cursor.executemany(
                _ACCEPT,
                [
                    {
                        "letter": one.letter,
                        "number": one.number,
                        "message_id": one.message_id,
                        "position": one.position or None,
                        "actor": RECORDER,
                    }
                    for one in ordered
                ],
            )

    def _connection(self) -> AbstractAsyncContextManager[psycopg.AsyncConnection]:
        return connection_of(self._pool, patience=self._patience)


def _meant(chosen: Chosen) -> tuple[sql.Composable, dict[str, Any]]:
    """Return what is true of the letters that are sent again when these are chosen."""
    where, values = conditions(chosen, default="kept", within=_AGAIN)
    again = sql.SQL("{} and exchange = any(%(exchanges)s)").format(where)
    return again, {**values, "exchanges": list(SENT_AGAIN)}


async def _check(connection: psycopg.AsyncConnection[Any], numbers: Sequence[int]) -> None:
    """Refuse letters that were named and cannot be sent again."""
    if not numbers:
        return
    cursor = await connection.execute(
        "select id, status, exchange from dead_letters where id = any(%s)", [list(numbers)]
    )
    known = {row[0]: (str(row[1]), str(row[2])) for row in await cursor.fetchall()}
    for number in numbers:
        if number not in known:
            raise UnknownDeadLetter(number)
        status, exchange = known[number]
        if status not in _AGAIN:
            raise LetterDecided(number, status, "sent again")
        if exchange not in SENT_AGAIN:
            raise CannotBeSentAgain(number, exchange)


async def _with_key(connection: psycopg.AsyncConnection[Any], key: str) -> int | None:
    row = await (
        await connection.execute("select id from dead_letter_redrives where key = %s", [key])
    ).fetchone()
    return None if row is None else int(row[0])


async def _show(connection: psycopg.AsyncConnection[Any], number: int) -> Redrive:
    found = await _redrives(connection, "r.id = %(id)s", {"id": number})
    if not found:
        raise UnknownRedrive(number)
    return found[0]


async def _redrives(
    connection: psycopg.AsyncConnection[Any], where: LiteralString, values: dict[str, Any]
) -> list[Redrive]:
    """Return redrives of which something is true, the latest first."""
    async with connection.cursor(row_factory=class_row(_Row)) as cursor:
        await cursor.execute(_REDRIVES.format(sql.SQL(where)), values)
        return [row.redrive() for row in await cursor.fetchall()]
