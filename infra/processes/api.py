"""The API: answers questions from the views, and records what it is told.

It needs the database. While the broker or the coordinator is away it goes on accepting goals: what
it records is carried on when they are back.
"""

import asyncio
import gc
import hashlib
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from importlib.metadata import version
from typing import Final, cast

import psycopg
import uvicorn
from aio_pika import RobustConnection
from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool
from uuid_utils.compat import uuid7
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.app import create_app
from api.deps import Condition, Deps
from api.live.feeds import Places
from api.live.hub import Hub
from api.live.ports import Live
from api.live.signals import Signals
from api.reading import CONNECT
from bus.connect import connect
from bus.depths import BrokerDepths, BrokerUnavailable
from bus.heartbeats import Believing, listen
from bus.lost import LOST
from bus.owed import Depth
from bus.ports import SystemClock
from bus.recorder import Recorder
from bus.together import end
from domain.errors import Unavailable
from domain.leases import WorkKind
from infra.migrations import pending
from infra.processes.asking import AsksSoon
from infra.processes.identity import make_identity
from infra.processes.parts import open_kek, open_pool, open_signatures, open_store, required
from infra.settings import Settings
from infra.settings_of_api import Http
from infra.settings_of_servers import Broker
from infra.store.accounts import AccountTables
from infra.store.agent_keys import AgentKeyTable
from infra.store.allowances import AllowanceTable
from infra.store.asked import AskedKeys
from infra.store.dead_letters import DeadLetterTable
from infra.store.redrives import RedriveTable
from infra.store.store import PostgresStore
from infra.store.subscriptions import SubscriptionTable
from infra.store.tickets import TicketTable
from projections.agent_types import AgentTypes

MOST_UNSENT: Final = 128 * 1024
"""Bytes that the kernel takes for a peer that has not read what came before; it doubles them."""

ACCEPT_WITHIN: Final = 15.0
"""Seconds within which a peer has to accept what it is sent."""


async def run(settings: Settings) -> None:
    """Serve until cancelled; requests under way are answered first."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        pool = await stack.enter_async_context(open_pool(settings))
        url = required(settings.amqp.url, "TASKLOOM_AMQP__URL")
        connecting = asyncio.create_task(connect(url, name="api.probe"))
        stack.push_async_callback(_close, connecting)
        asks = await stack.enter_async_context(AsksSoon(url))
        recorder = Recorder(store, clock)
        store.when_forgotten(recorder.forget)
        hub, live = live_of(store, pool)
        deps = Deps(
            live=live,
            subscriptions=SubscriptionTable(pool, kek=open_kek(settings), patience=CONNECT),
            webhook_hosts=settings.http.webhook_hosts,
            views=pool,
            record=recorder.record,
            log=store.log(),
            head=store.head,
            streams=store,
            letters=DeadLetterTable(pool, patience=CONNECT),
            redrives=RedriveTable(pool, patience=CONNECT),
            clock=clock,
            new_id=_new_id,
            identity=make_identity(
                settings, AccountTables(pool, patience=CONNECT), recorder.record, clock, _new_id
            ),
            version=version("taskloom"),
            started_at=clock.now(),
            asks=asks,
            depths=_Depths(connecting),
            heartbeat=timedelta(seconds=settings.agents.heartbeat),
            lease=timedelta(seconds=settings.agents.lease),
            cursor_secret=_cursor_secret(required(settings.db.dsn, "TASKLOOM_DB__DSN")),
            keys=AskedKeys(pool, patience=CONNECT),
            agent_keys=_agent_keys(settings.amqp, pool),
            signatures=settings.amqp.signatures,
            rates=settings.http.rates.model_dump(),
            quotas=settings.http.plans.model_dump(),
            allowances=AllowanceTable(pool, patience=CONNECT),
            followed=settings.http.followed.numbers(),
            origins=settings.http.origins,
            docs=settings.http.docs,
            probes={
                "message_bus": _bus_probe(connecting),
                "agent_coordinator": _lead_probe(store),
                "migrations": _migration_probe(required(settings.db.dsn, "TASKLOOM_DB__DSN")),
            },
        )
        believing = Believing(
            requires_user=settings.amqp.senders == "require",
            signatures=open_signatures(settings, pool) if settings.amqp.has_secret else None,
        )
        server = uvicorn.Server(served(create_app(deps), settings.http))
        _collect_rarely()
        # Were the recorder to fail unseen, every command would wait for ever.
        async with asyncio.TaskGroup() as tasks:
            loops = [
                tasks.create_task(recorder.run(), name="recorder"),
                tasks.create_task(hub.run(), name="live"),
                tasks.create_task(believing.run(), name="believing"),
                tasks.create_task(_hear(connecting, Signals(hub), believing), name="signals"),
            ]
            await _serve(server, ending=hub.close)
            for loop in loops:
                loop.cancel()


def live_of(store: PostgresStore, pool: AsyncConnectionPool) -> tuple[Hub, Live]:
    """Return the parts of live updates, and the one of them that has to run."""
    types = AgentTypes(pool, patience=CONNECT)
    hub = Hub(events=store.log(), head=store.head, types=types)
    places = Places(views=pool, excerpts=store, head=store.head, types=types, hub=hub)
    return hub, Live(hub=hub, places=places, tickets=TicketTable(pool, patience=CONNECT))


def served(app: FastAPI, http: Http) -> uvicorn.Config:
    """Return how an app is served."""
    return uvicorn.Config(
        app,
        host=http.host,
        port=http.port,
        http=Bounded,
        ssl_certfile=http.certificate,
        ssl_keyfile=http.private_key,
        ws="websockets-sansio",
        ws_max_size=64 * 1024,
        ws_per_message_deflate=False,  # it costs memory and time for each reader
        timeout_graceful_shutdown=10,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(http.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in http.trusted_proxies],
        timeout_keep_alive=5,
        limit_concurrency=1_000,
        h11_max_incomplete_event_size=64 * 1024,
    )


def _new_id() -> str:
    return str(uuid7())


def _agent_keys(broker: Broker, pool: AsyncConnectionPool) -> AgentKeyTable | None:
    """Return who hands out what agents sign with, where that is looked at."""
    if broker.signatures == "off" or not broker.has_secret:
        return None
    return AgentKeyTable(pool, broker.secret(), patience=CONNECT)


class Bounded(H11Protocol):
    """A connection whose peer has to read; httptools would hold headers of any size."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have the kernel end the connection when its peer accepts nothing for long."""
        peer: socket.socket | None = transport.get_extra_info("socket")
        if peer is not None:
            # The kernel would take four megabytes for each peer that does not read.
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST_UNSENT)
        if peer is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            milliseconds = round(ACCEPT_WITHIN * 1_000)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        super().connection_made(cast("asyncio.Transport", transport))


def _cursor_secret(dsn: str) -> bytes:
    """Return what all processes of the API know and nobody who asks them does."""
    return hashlib.sha256(f"taskloom cursors {dsn}".encode()).digest()


class _Depths:
    """Asks the broker as soon as there is a connection to it."""

    def __init__(self, connecting: asyncio.Task[RobustConnection]) -> None:
        self._connecting = connecting
        self._depths: BrokerDepths | None = None

    async def work(self, kind: WorkKind) -> Depth:
        """Return what the queue of a kind of work holds."""
        task = self._connecting
        if not task.done() or task.cancelled() or task.exception() is not None:
            raise BrokerUnavailable(ConnectionError("there is no connection yet"))
        self._depths = self._depths or BrokerDepths(task.result())
        return await self._depths.work(kind)


def _collect_rarely() -> None:
    """Spare answers the search for garbage: what is here stays, and what they make has no cycles.

    A plan of 5,000 tasks is 50,000 objects, which would be looked through again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def _hear(
    connecting: asyncio.Task[RobustConnection], signals: Signals, believing: Believing
) -> None:
    """Hear heartbeats, as soon as there is a broker to hear them from."""
    with suppress(*LOST):
        connection = await asyncio.shield(connecting)
        await listen(connection, signals.hear, believing=believing)


async def _serve(server: uvicorn.Server, *, ending: Callable[[], None]) -> None:
    serving = asyncio.create_task(server._serve(), name="http")  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] # its public twin takes the signals, which are the process's
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        ending()  # who follows live updates would never end by itself
        server.should_exit = True
        await serving
        raise


def _bus_probe(connecting: asyncio.Task[RobustConnection]) -> Callable[[], Awaitable[Condition]]:
    async def probe() -> Condition:
        if not connecting.done() or connecting.cancelled() or connecting.exception() is not None:
            return "unhealthy"
        return "healthy" if connecting.result().connected.is_set() else "unhealthy"

    return probe


def _lead_probe(store: PostgresStore) -> Callable[[], Awaitable[Condition]]:
    async def probe() -> Condition:
        try:
            return "healthy" if await store.is_led("coordinator") else "unhealthy"
        except Unavailable:
            return "unknown"

    return probe


def _migration_probe(dsn: str) -> Callable[[], Awaitable[Condition]]:
    is_current = False

    async def probe() -> Condition:
        nonlocal is_current
        if not is_current:
            try:
                is_current = not await asyncio.to_thread(pending, dsn)
            except psycopg.Error:
                return "unknown"
            except Unavailable:
                return "unhealthy"
        return "healthy" if is_current else "unhealthy"

    return probe


async def _close(connecting: asyncio.Task[RobustConnection]) -> None:
    await end([connecting])
    if not connecting.cancelled() and connecting.exception() is None:
        await connecting.result().close()
