"""One of several leads: whoever holds an advisory lock, and shows on its connection that it lives.

PostgreSQL gives a lock back when its connection ends. That of a process that stands still does not
end; but PostgreSQL knows when each connection was used last, and whoever leads asks it something
several times a second. A holder that has not asked for too long is shown the door.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bus.together import end, end_if_told
from domain.errors import Unavailable

log = structlog.get_logger(__name__)

BEAT: Final = 0.2
"""Seconds between two questions of whoever leads."""

STALLED: Final = 1.0
"""Seconds without a question after which somebody else takes the lead."""

_CALM: Final = 60.0
"""Seconds after which a change of the lead is forgotten."""

_MOST_PATIENCE: Final = 16.0

_POLL: Final = 0.1

# A lock of one bigint shows as its two halves; a negative one fills the first.
_HOLDER: Final = (
    "from pg_locks where locktype = 'advisory' and granted"
    " and database = (select oid from pg_database where datname = current_database())"
    " and (classid::bigint << 32 | objid::bigint) = hashtext(%(duty)s)::bigint"
)
IS_LED: Final = f"select exists(select {_HOLDER}) as is_led"
_DEPOSE: Final = (
    "with deposed as (select pid, application_name as name from pg_stat_activity"  # noqa: S608 # all of it is ours
    f" where pid in (select pid {_HOLDER}) and state = 'idle'"
    " and clock_timestamp() - state_change > make_interval(secs => %(stalled)s))"
    # It may stand still in the middle of an append: everybody waits for what that has locked.
    " select a.pid, pg_terminate_backend(a.pid) from pg_stat_activity a, deposed d"
    " where a.pid = d.pid or (a.application_name = d.name and d.name like %(signature)s)"
)


SIGNATURE: Final = "taskloom:"
"""Begins what names the connections of one store among all others."""


def signed(dsn: str) -> str:
    """Return a connection string whose connections can be told from those of all other stores."""
    given = str(conninfo_to_dict(dsn).get("application_name") or "")
    name = f"{given[:30]} {SIGNATURE}{secrets.token_hex(8)}".strip()
    return make_conninfo(dsn, application_name=name)


class Patience:
    """How long a silent leader is waited for: longer, where a change has just not helped.

    On a machine that has too much to do everybody is silent at times. Would each who takes the
    lead lose it before it has begun, nothing would ever be done.
    """

    def __init__(self) -> None:
        self.seconds = STALLED
        self._changed = float("-inf")

    def change(self, now: float) -> None:
        """Take note that the lead was lost or taken for a silence."""
        is_again = now - self._changed < _CALM
        self.seconds = min(2 * self.seconds, _MOST_PATIENCE) if is_again else STALLED
        self._changed = now


async def lead(dsn: str, duty: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do some work whenever this process has the lead, until cancelled."""
    patience = Patience()
    while True:
        try:
            async with await connect_to_lead(dsn) as connection:
                while not await _try_lock(connection, duty):
                    end_if_told()
                    await _depose_the_stalled(connection, duty, patience)
                    await asyncio.sleep(_POLL)
                end_if_told()
                await _while_alive(connection, work)
        except (psycopg.Error, Unavailable) as error:
            if isinstance(error, psycopg.errors.AdminShutdown):
                patience.change(time.monotonic())
            log.warning("lead.waits", duty=duty, why=str(error).strip())
            await asyncio.sleep(_POLL)


async def connect_to_lead(dsn: str) -> psycopg.AsyncConnection:
    """Connect so that both ends notice within seconds when the other machine has vanished.

    By default the server notices after two hours, and nobody would lead for so long.
    """
    connection = await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, tcp_user_timeout="3000"
    )
    for setting, value in (("idle", "2"), ("interval", "1"), ("count", "3")):
        name = f"tcp_keepalives_{setting}"
        await connection.execute("select set_config(%s, %s, false)", [name, value])
    return connection


async def _try_lock(connection: psycopg.AsyncConnection[Any], duty: str) -> bool:
    cursor = await connection.execute("select pg_try_advisory_lock(hashtext(%s))", [duty])
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def _depose_the_stalled(
    connection: psycopg.AsyncConnection[Any], duty: str, patience: Patience
) -> None:
    """End the connections of a leader that stands still; when it wakes, it finds that out."""
    try:
        whom = {"duty": duty, "stalled": patience.seconds, "signature": f"%{SIGNATURE}%"}
        cursor = await connection.execute(_DEPOSE, whom)
    except psycopg.errors.InsufficientPrivilege as error:
        # Another role leads. Its connection ends when the network says so.
        log.warning("lead.cannot_depose", duty=duty, why=str(error).strip())
        return
    if ended := [pid for pid, _ in await cursor.fetchall()]:
        patience.change(time.monotonic())
        log.warning("lead.deposed", duty=duty, backends=ended, next_after=patience.seconds)


async def _while_alive(
    connection: psycopg.AsyncConnection[Any], work: Callable[[], Awaitable[None]]
) -> None:
    """Work as long as the connection that holds the lock lives."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT)
            await connection.execute("select 1")

    working = asyncio.ensure_future(work())
    beating = asyncio.create_task(beat(), name="lead.beat")
    try:
        await asyncio.wait((working, beating), return_when=asyncio.FIRST_COMPLETED)
    finally:
        failed = [task for task in (working, beating) if task.done() and not task.cancelled()]
        await end((working, beating))
    for task in failed:
        task.result()
