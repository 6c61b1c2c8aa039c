"""Views are folded from the log: they can be folded again, or checked against it."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from psycopg import sql
from psycopg_pool import AsyncConnectionPool

from bus.ports import Log
from domain.errors import Conflict
from projections.positions import forgive, lock, prepare, read_positions
from projections.table import SCHEMA, Connection, Table
from projections.view import AnyView

BATCH: Final = 500

_PATIENT: Final = "set local idle_in_transaction_session_timeout = 0"
"""Lets a transaction wait for the log, which is read over another connection."""

Progress = Callable[[str, int, int], None]
"""Is told the view, the position it has reached and how many events were read so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A row that is not as the log says."""

    key: Sequence[str | int]
    columns: Sequence[str]
    """Which columns differ."""

    kept: Mapping[str, Any] | None
    """The row in the view; None where it is missing."""

    folded: Mapping[str, Any] | None
    """The row as the log says; None where there should be none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of comparing a view with the log."""

    view: str
    position: int
    """Both sides are at this position."""

    rows: int
    different: int
    examples: Sequence[Difference]
    """At most 20 rows that differ."""

    @property
    def is_right(self) -> bool:
        """Whether the view says what the log says."""
        return self.different == 0


class RebuildUnderWay(Conflict):
    """Two rebuilds of one view at a time would spoil each other."""

    code = "rebuild-under-way"

    def __init__(self, view: str) -> None:
        super().__init__(f"view {view} is being rebuilt by somebody else; wait for the end")


def _silent(view: str, position: int, read: int) -> None:
    del view, position, read


async def rebuild(
    view: AnyView, *, log: Log, pool: AsyncConnectionPool, progress: Progress = _silent
) -> int:
    """Fold a view anew beside the one in use, swap the two, and return the position reached.

    Who reads meanwhile reads the old rows; who follows the log goes on from the new ones.

    Raises:
        RebuildUnderWay: Somebody else rebuilds it.
    """
    async with _alone(view, pool):
        return await _rebuild(view, log, pool, progress)


async def retire(pool: AsyncConnectionPool, views: Sequence[AnyView]) -> Sequence[str]:
    """Drop what earlier versions of views have left, and return the names of the tables.

    Call it when nobody runs the code that read them any more.
    """
    dropped: list[str] = []
    async with pool.connection() as connection, connection.transaction():
        cursor = await connection.execute(
            "select tablename from pg_tables where schemaname = %s", [SCHEMA]
        )
        there = {str(name) for (name,) in await cursor.fetchall()}
        for view in views:
            for version in range(1, view.version):
                old = replace(view, version=version)
                await connection.execute(
                    "delete from positions where follower = %s", [old.follower]
                )
                await forgive(connection, [old])
                if old.table in there:
                    await connection.execute(
                        sql.SQL("drop table {}").format(sql.Identifier(SCHEMA, old.table))
                    )
                    dropped.append(old.table)
    return dropped


@asynccontextmanager
async def _alone(view: AnyView, pool: AsyncConnectionPool) -> AsyncGenerator[None]:
    """Keep a second rebuild of a view away: both would write into the same fresh table."""
    async with pool.connection() as guard:
        cursor = await guard.execute(
            "select pg_try_advisory_lock(hashtext(%s))", [f"rebuild {view.follower}"]
        )
        if not (await cursor.fetchone() or (False,))[0]:
            raise RebuildUnderWay(view.name)
        try:
            yield
        finally:
            await guard.execute(
                "select pg_advisory_unlock(hashtext(%s))", [f"rebuild {view.follower}"]
            )


async def _rebuild(view: AnyView, log: Log, pool: AsyncConnectionPool, progress: Progress) -> int:
    fresh = Table(view, name=f"{view.table}_fresh")
    async with pool.connection() as connection:
        await prepare(connection, [view])
        await connection.execute(sql.SQL("drop table if exists {}").format(fresh.place))
        await fresh.create(connection)
    position = read = 0
    while events := await log.read_all(after=position, limit=BATCH):
        async with pool.connection() as connection, connection.transaction():
            await fresh.fold(connection, events)
        position, read = events[-1].position, read + len(events)
        progress(view.name, position, read)
        if len(events) < BATCH:
            break
    async with pool.connection() as connection, connection.transaction():
        reached = (await lock(connection, [view])).get(view.follower, 0)
        await connection.execute("set local synchronous_commit = on")
        await connection.execute(_PATIENT)
        # Never back: readers were promised what they have seen.
        while position < reached:
            events = await log.read_all(after=position, limit=BATCH)
            if not events:
                break
            await fresh.fold(connection, events)
            position, read = events[-1].position, read + len(events)
        await _swap(connection, view, fresh)
        await connection.execute(
            "update positions set position = %s where follower = %s", [position, view.follower]
        )
        await forgive(connection, [view])
    progress(view.name, position, read)
    return position


async def verify(
    view: AnyView, *, log: Log, pool: AsyncConnectionPool, progress: Progress = _silent
) -> Verdict:
    """Fold the log again, up to where the view is, and compare row by row."""
    live = Table(view)
    again = Table(view, name=f"{view.table}_again", schema="pg_temp")
    async with pool.connection() as connection, connection.transaction():
        # One snapshot: the view may move on, what we compare with does not.
        await connection.execute("set transaction isolation level repeatable read")
        await connection.execute(_PATIENT)
        reached = (await read_positions(connection, [view])).get(view.follower, 0)
        await again.create(connection)
        position = read = 0
        while position < reached:
            events = await log.read_all(after=position, limit=BATCH)
            some = [recorded for recorded in events if recorded.position <= reached]
            if not some:
                break
            await again.fold(connection, some)
            position, read = some[-1].position, read + len(some)
            progress(view.name, position, read)
        verdict = await _compare(connection, view, live, again, reached)
        await connection.execute(sql.SQL("drop table {}").format(again.place))
    return verdict


async def _swap(connection: Connection, view: AnyView, fresh: Table[Any]) -> None:
    live = Table(view)
    await connection.execute(sql.SQL("drop table {}").format(live.place))
    await connection.execute(
        sql.SQL("alter table {} rename to {}").format(fresh.place, sql.Identifier(live.name))
    )


async def _compare(
    connection: Connection, view: AnyView, live: Table[Any], again: Table[Any], position: int
) -> Verdict:
    names = {
        "live": live.place,
        "again": again.place,
        "key": sql.SQL(", ").join(map(sql.Identifier, view.key)),
    }
    cursor = await connection.execute(
        sql.SQL(
            "select to_jsonb(l), to_jsonb(a), count(*) over ()"
            " from {live} l full join {again} a using ({key})"
            " where to_jsonb(l) is distinct from to_jsonb(a) order by {key} limit 20"
        ).format(**names)
    )
    found = await cursor.fetchall()
    counted = await connection.execute(sql.SQL("select count(*) from {live}").format(**names))
    (rows,) = await counted.fetchone() or (0,)
    return Verdict(
        view=view.name,
        position=position,
        rows=rows,
        different=found[0][2] if found else 0,
        examples=[_difference(view, kept, folded) for kept, folded, _ in found],
    )


def _difference(
    view: AnyView, kept: dict[str, Any] | None, folded: dict[str, Any] | None
) -> Difference:
    one, other = kept or {}, folded or {}
    return Difference(
        key=[(kept or folded or {})[column] for column in view.key],
        columns=sorted(name for name in one | other if one.get(name) != other.get(name)),
        kept=kept,
        folded=folded,
    )
