"""The parts that several processes are made of."""

import asyncio
from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

import orjson
from psycopg import AsyncConnection
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool

from bus.ports import SystemClock
from bus.signatures import Signatures
from domain.errors import Unavailable
from infra.settings import Settings
from infra.store.agent_keys import AgentKeyTable
from infra.store.kek import Kek
from infra.store.recorders import Limits
from infra.store.store import PostgresStore

_LONGEST_FOLD = 3.0
"""Seconds that a batch of events takes between two statements, at the very most."""

_FRESH = 1.0
"""Seconds after its last use in which a connection is trusted to be there."""


class NotConfigured(Unavailable):
    """A process lacks a setting that it cannot do without."""

    code = "not-configured"

    def __init__(self, variable: str) -> None:
        super().__init__(f"{variable} is not set; set it, or start everything with `taskloom up`")


def required(value: str | None, variable: str) -> str:
    """Return a setting that has to be there.

    Raises:
        NotConfigured: It is not.
    """
    if not value:
        raise NotConfigured(variable)
    return value


def open_store(settings: Settings) -> PostgresStore:
    """Return the store, to be entered."""
    limits = Limits(
        lock=settings.db.lock_timeout,
        idle_in_transaction=settings.db.idle_in_transaction_timeout,
        statement=settings.db.statement_timeout,
        connect=settings.db.connect_timeout,
    )
    dsn = required(settings.db.dsn, "TASKLOOM_DB__DSN")
    return PostgresStore(dsn, limits=limits, kek=open_kek(settings))


def open_kek(settings: Settings) -> Kek:
    """Return the key that wraps the keys of persons; the local stack makes one.

    Raises:
        KekUnusable: What is set is none.
    """
    if settings.keys.kek is not None:
        return Kek.parse(settings.keys.kek.get_secret_value(), "TASKLOOM_KEYS__KEK")
    return Kek.of_file(settings.keys.kek_file or settings.state_dir / "keys" / "kek")


def open_signatures(settings: Settings, pool: AsyncConnectionPool) -> Signatures | None:
    """Return who knows whether agents have signed, if anybody wants to know.

    Raises:
        NoSigningSecret: There is none that their keys are made from, or it can be guessed.
    """
    strictness = settings.amqp.signatures
    if strictness == "off":
        return None
    keys = AgentKeyTable(pool, settings.amqp.secret())
    return Signatures(keys, SystemClock(), strictness=strictness)


def open_pool(settings: Settings) -> AsyncConnectionPool:
    """Return a pool of connections for views and tables, to be entered."""

    async def configure(connection: AsyncConnection) -> None:
        await connection.set_autocommit(True)
        set_json_loads(orjson.loads, connection)
        for setting, seconds in (
            ("statement_timeout", settings.db.statement_timeout),
            # Whoever stands still while a view is being folded must not keep the next from it.
            ("idle_in_transaction_session_timeout", _LONGEST_FOLD),
        ):
            await connection.execute(
                "select set_config(%s, %s, false)", [setting, f"{round(seconds * 1000)}ms"]
            )

    return AsyncConnectionPool(
        required(settings.db.dsn, "TASKLOOM_DB__DSN"),
        min_size=1,
        max_size=settings.db.pool_max,
        timeout=settings.db.connect_timeout,
        configure=configure,
        check=_check_rarely(),
        open=False,
    )


def _check_rarely() -> Callable[[AsyncConnection], Awaitable[None]]:
    """Look whether a connection still works, unless it has been used a moment ago.

    The look is a whole round trip. Who is unlucky within that moment is told to ask again.
    """
    used = WeakKeyDictionary[AsyncConnection, float]()

    async def check(connection: AsyncConnection) -> None:
        now = asyncio.get_running_loop().time()
        if now - used.get(connection, -_FRESH) >= _FRESH:
            await AsyncConnectionPool.check_connection(connection)
        used[connection] = now

    return check
