"""The API over ASGI, on a real record and real views, with the system's own loops behind it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool

from api.app import create_app
from api.deps import Deps
from bus.follower import Follower
from bus.ports import SystemClock
from bus.reactions import Reactions
from bus.recorder import Outcome, Recorder
from domain.deciders import stream_of
from domain.identity import PERMISSIONS, Caller
from domain.policies import AnyReport
from domain.recorded import Report
from infra.processes.api import live_of
from infra.processes.identity import make_identity
from infra.processes.local_key import local_key
from infra.settings import Settings
from infra.store.accounts import AccountTables
from infra.store.asked import AskedKeys
from infra.store.dead_letters import DeadLetterTable
from infra.store.kek import Kek
from infra.store.redrives import RedriveTable
from infra.store.store import PostgresStore
from infra.store.subscriptions import SubscriptionTable
from projections.catalog import VIEWS
from projections.postgres import PostgresViews
from projections.runner import Runner
from tests.support.described_headers import check_headers
from tests.support.histories import History
from tests.support.listening import serving


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A running system without a broker: who asks, and who reports as an agent would."""

    http: httpx2.AsyncClient
    pool: AsyncConnectionPool
    deps: Deps
    say: Callable[[AnyReport], Awaitable[Outcome]]


@cache
def app_alone() -> FastAPI:
    """Return the API with nothing behind it; to make one takes long, and it remembers nothing."""

    async def nothing(*_: object) -> Any:
        raise AssertionError("a bad request went too far")

    closed = AsyncConnectionPool(open=False)
    identity = make_identity(
        settings(Path(mkdtemp())), AccountTables(closed), nothing, SystemClock(), lambda: "1"
    )
    deps = Deps(
        views=closed,
        streams=PostgresStore(""),
        letters=DeadLetterTable(closed),
        redrives=RedriveTable(closed),
        record=nothing,
        log=History(),
        head=nothing,
        clock=SystemClock(),
        new_id=lambda: "1",
        version="9.9.9",
        started_at=SystemClock().now(),
        identity=replace(identity, identify=an_admin),
    )
    return create_app(deps)


@pytest.fixture
async def front() -> AsyncIterator[httpx2.AsyncClient]:
    """The API alone, with nothing behind it: what it refuses goes no further."""
    async with client_of(app_alone()) as http:
        yield http


async def an_admin(_: object) -> Caller:
    return Caller(subject="ada", role="admin", permissions=PERMISSIONS["admin"])


def settings(state_dir: Path) -> Settings:
    return Settings(state_dir=state_dir, _env_file=None)


def client_of(app: FastAPI, token: str = "") -> httpx2.AsyncClient:
    async def look(answer: httpx2.Response) -> None:
        check_headers(app, answer)

    return httpx2.AsyncClient(
        event_hooks={"response": [look]},
        transport=httpx2.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://taskloom",
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )


@pytest.fixture
async def system(database: str) -> AsyncIterator[System]:
    async with running(database) as system:
        yield system


@asynccontextmanager
async def running(database: str) -> AsyncIterator[System]:
    """Run the system's loops and the API on a database, as long as the context lasts."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        store = await stack.enter_async_context(PostgresStore(database))
        pool = await stack.enter_async_context(
            AsyncConnectionPool(
                database, min_size=1, max_size=6, open=False, kwargs={"autocommit": True}
            )
        )
        recorder = Recorder(store, clock)
        runner = Runner(views=VIEWS, log=store.log(), store=PostgresViews(pool))
        await runner.prepare()
        reactions = Follower("reactions", Reactions(recorder), events=store.log(), positions=store)

        async def head() -> int:
            async with pool.connection() as connection:
                cursor = await connection.execute(
                    "select coalesce(max(notification_id), 0) from events"
                )
                (position,) = await cursor.fetchone() or (0,)
                return int(position)

        async def say(body: AnyReport) -> Outcome:
            report = Report(
                id=str(uuid.uuid4()),
                stream=stream_of(body),
                body=body,
                said_at=clock.now(),
                actor="agents/test",
                correlation_id="test",
            )
            return await recorder.record(report)

        hub, live = live_of(store, pool)
        deps = Deps(
            live=live,
            subscriptions=SubscriptionTable(pool, kek=Kek(bytes(32))),
            views=pool,
            streams=store,
            letters=DeadLetterTable(pool),
            redrives=RedriveTable(pool),
            keys=AskedKeys(pool),
            record=recorder.record,
            log=store.log(),
            head=head,
            clock=clock,
            new_id=lambda: str(uuid.uuid4()),
            version="9.9.9",
            started_at=clock.now(),
            identity=make_identity(
                settings(folder),
                AccountTables(pool),
                recorder.record,
                clock,
                lambda: str(uuid.uuid4()),
            ),
        )
        token = await asyncio.to_thread(local_key, folder, database)
        async with pool.connection() as connection:
            # Its first use would be the first event of every test.
            await connection.execute("update identity.keys set last_used_at = now()")
        http = await stack.enter_async_context(client_of(create_app(deps), token))
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(loop.run()) for loop in (recorder, runner, reactions, hub)
        ]
        try:
            yield System(http=http, pool=pool, deps=deps, say=say)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def known_by(system: System, identify: Callable[[Any], Awaitable[Caller]]) -> Deps:
    """Return the ports with another way to know who asks."""
    return replace(system.deps, identity=replace(system.deps.identity, identify=identify))


@asynccontextmanager
async def answering(deps: Deps, system: System) -> AsyncIterator[httpx2.AsyncClient]:
    """Let an API with other ports answer the same owner."""
    token = system.http.headers["Authorization"].removeprefix("Bearer ")
    async with client_of(create_app(deps), token) as http:
        yield http


@pytest.fixture
async def host(system: System) -> AsyncIterator[str]:
    async with serving(create_app(known_by(system, an_admin))) as host:
        yield host
