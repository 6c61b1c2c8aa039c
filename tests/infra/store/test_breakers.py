"""What breakers take up when a coordinator begins."""

from collections.abc import AsyncIterator

import pytest
from psycopg_pool import AsyncConnectionPool

from domain.agent import AgentDeregistered
from domain.breaker import Breaker, BreakerClosed, BreakerOpened
from infra.store.breakers import BreakerRegistry
from infra.store.store import PostgresStore
from projections.agents import AGENTS
from projections.breakers import BREAKERS
from projections.postgres import PostgresViews
from projections.runner import Runner
from tests.support.recorders import recording
from tests.support.recording import hello, said
from tests.support.scenario import NOW


@pytest.fixture
async def pool(database: str) -> AsyncIterator[AsyncConnectionPool]:
    async with AsyncConnectionPool(database, open=False, kwargs={"autocommit": True}) as pool:
        yield pool


async def test_what_is_recorded_is_taken_up_however_far_the_views_are(
    database: str, pool: AsyncConnectionPool
) -> None:
    opened = BreakerOpened(
        role="execution",
        agent_type="NOOP",
        reason="it broke",
        ended=9,
        failed=9,
        trips=1,
        until=NOW,
    )
    closed = BreakerClosed(role="execution", agent_type="NOOP")
    goodbye = AgentDeregistered(agent_id="bob")
    async with PostgresStore(database) as store, recording(store) as recorder:
        registry = BreakerRegistry(pool, store)
        assert (await registry.breakers(), await registry.kinds()) == ([], {})
        runner = Runner(views=[AGENTS, BREAKERS], log=store.log(), store=PostgresViews(pool))
        await runner.prepare()
        for number, body in enumerate((hello("ann"), hello("bob"), goodbye, opened)):
            await recorder.record(said(body, report_id=str(number)))
        await runner.catch_up()
        await recorder.record(said(closed, report_id="closed"))  # and the view lags behind
        assert await registry.kinds() == {"ann": ("execution", "NOOP")}
        (breaker,) = await registry.breakers()
    assert breaker == Breaker(role="execution", agent_type="NOOP", state="closed", trips=1)
