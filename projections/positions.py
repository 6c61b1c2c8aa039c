"""How far each view has come, and which one has stopped and why."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final, LiteralString

from psycopg import sql

from projections.table import Connection, Table
from projections.view import AnyView

_PREPARE: Final[Sequence[tuple[LiteralString, LiteralString]]] = (
    ("to_regnamespace('views')", "create schema views"),
    (
        "to_regclass('positions')",
        "create table positions (follower text primary key, position bigint not null)",
    ),
    (
        "to_regclass('views.failures')",
        "create table views.failures (follower text primary key, position bigint not null,"
        " type text not null, error text not null, at timestamptz not null)",
    ),
)
"""What is made where it is missing: "if not exists" refuses who may not, even where it is there."""

# Views can be folded again: their commit need not wait for the disk. The setting rides on the
# query that has to be made anyway; it is gone with the transaction.
_LOCK = (
    "select follower, position, set_config('synchronous_commit', 'off', true) from positions"
    " where follower = any(%s) order by follower for update"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a view has stopped."""

    position: int
    """The event that it could not fold."""

    type: str
    error: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewStatus:
    """How far a view has come."""

    view: str
    version: int
    position: int
    failure: Failure | None = None


async def prepare(connection: Connection, views: Iterable[AnyView]) -> None:
    """Create what the views are kept in, unless it exists; a new view begins at position 0."""
    async with connection.transaction():
        # "if not exists" does not protect two who create at the same time.
        await connection.execute("select pg_advisory_xact_lock(hashtext('taskloom.views'))")
        for there, statement in _PREPARE:
            cursor = await connection.execute(f"select {there} is null")
            if await cursor.fetchone() == (True,):
                await connection.execute(statement)
        for view in views:
            await Table(view).create(connection)
            await connection.execute(
                "insert into positions (follower, position) values (%s, 0) on conflict do nothing",
                [view.follower],
            )


async def read_positions(connection: Connection, views: Iterable[AnyView]) -> Mapping[str, int]:
    """Return the positions of views by their followers; a view that never ran has none."""
    cursor = await connection.execute(
        "select follower, position from positions where follower = any(%s)",
        [[view.follower for view in views]],
    )
    return dict(await cursor.fetchall())


@asynccontextmanager
async def holding(
    connection: Connection, views: Sequence[AnyView]
) -> AsyncGenerator[Mapping[str, int]]:
    """Hold all views still, and tell the positions of some: rows are as of one moment.

    The connection must be in autocommit mode. One round trip begins, another one ends it: what most
    questions cost is their way to the database and back.
    """
    opening = _opening(tuple(view.follower for view in views))
    try:
        # Two statements in one cannot be prepared.
        cursor = await connection.execute(opening, prepare=False)
        cursor.nextset()
        yield dict(await cursor.fetchall())
    finally:
        if not connection.closed:
            await connection.rollback()  # nothing was written


@cache
def _opening(followers: tuple[str, ...]) -> bytes:
    return (
        sql.SQL(
            "begin isolation level repeatable read, read only;"
            " select follower, position from positions where follower in ({})"
        )
        .format(sql.SQL(", ").join(map(sql.Literal, followers)))
        .as_bytes()
    )


async def lock(connection: Connection, views: Iterable[AnyView]) -> Mapping[str, int]:
    """Return the positions of views, and keep everyone else from moving them until the commit."""
    cursor = await connection.execute(_LOCK, [[view.follower for view in views]])
    return {follower: position for follower, position, _ in await cursor.fetchall()}


async def advance(connection: Connection, views: Iterable[AnyView], *, to: int) -> None:
    """Move views forward; a view that is further already stays."""
    await connection.execute(
        "update positions set position = %s where follower = any(%s) and position < %s",
        [to, [view.follower for view in views], to],
    )


async def report_failure(
    connection: Connection, view: AnyView, *, position: int, type_: str, error: str
) -> None:
    """Make it visible that a view has stopped before the event at a position."""
    await connection.execute(
        "insert into views.failures (follower, position, type, error, at)"
        " values (%s, %s, %s, %s, now()) on conflict (follower) do update set"
        " position = excluded.position, type = excluded.type, error = excluded.error,"
        " at = excluded.at",
        [view.follower, position, type_, error],
    )


async def forgive(connection: Connection, views: Iterable[AnyView]) -> None:
    """Forget why views have stopped: they are tried again."""
    await connection.execute(
        "delete from views.failures where follower = any(%s)",
        [[view.follower for view in views]],
    )


async def statuses(connection: Connection, views: Sequence[AnyView]) -> Sequence[ViewStatus]:
    """Tell how far views have come, and which have stopped."""
    positions = await read_positions(connection, views)
    cursor = await connection.execute(
        "select follower, position, type, error, at from views.failures where follower = any(%s)",
        [[view.follower for view in views]],
    )
    failures = {
        follower: Failure(position=position, type=type_, error=error, at=at)
        for follower, position, type_, error, at in await cursor.fetchall()
    }
    return [
        ViewStatus(
            view=view.name,
            version=view.version,
            position=positions.get(view.follower, 0),
            failure=failures.get(view.follower),
        )
        for view in views
    ]
