"""The subscribers of an agent: deaf ones, backups, and what an agent says of itself."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aio_pika import RobustConnection

from agents.agent import Agent, Work
from bus.embedded import EmbeddedBroker
from domain.agent import AgentRegistered
from domain.run_events import TaskCompleted, TaskStarted
from domain.values import JsonObject
from tests.agents.kit.bench import Bench, bench
from tests.agents.kit.running import Running, connection_of, cut, echo
from tests.support.waiting import until

LOOK = 0.2
NORMAL = "taskloom.work.execution.test.normal"


@pytest.fixture(params=["embedded", pytest.param("rabbitmq", marks=pytest.mark.real)])
def vhost_or_none(request: pytest.FixtureRequest) -> str | None:
    """A virtual host of RabbitMQ, None for the embedded broker."""
    return None if request.param == "embedded" else request.getfixturevalue("vhost_url")


@pytest.fixture
async def broker_url(vhost_or_none: str | None) -> AsyncIterator[str]:
    """Either broker: both keep what is promised here."""
    if vhost_or_none is not None:
        yield vhost_or_none
        return
    async with EmbeddedBroker() as broker:
        yield broker.url


async def deafen(connection: RobustConnection) -> None:
    """End every consumer of a connection, and tell nobody."""
    assert connection.transport is not None
    channels = [one for one in connection.transport.connection.channels.values() if one is not None]
    for channel in channels:
        for tag in tuple(channel.consumers):
            await channel.basic_cancel(tag)


def registrations(here: Bench) -> list[AgentRegistered]:
    return [r.body for r in here.reports if isinstance(r.body, AgentRegistered)]


async def test_an_agent_that_has_gone_deaf_begins_anew(broker_url: str) -> None:
    async with bench(broker_url) as here, Running(echo, broker_url, look=LOOK):
        await until(lambda: len(registrations(here)) == 1, "it is there")
        await deafen(connection_of("test_worker_001 takes"))
        await here.dispatch("a")
        await until(lambda: here.said(TaskCompleted) == ["a"], "it hears again")


async def test_an_agent_that_has_nothing_to_do_leaves_everything_as_it_is(broker_url: str) -> None:
    async with bench(broker_url) as here, Running(echo, broker_url, look=LOOK):
        await until(lambda: len(registrations(here)) == 1, "it is there")
        transport = connection_of("test_worker_001 takes").transport
        await asyncio.sleep(6 * LOOK)
        assert connection_of("test_worker_001 takes").transport is transport


async def test_an_agent_that_is_busy_is_not_deaf(broker_url: str) -> None:
    go = asyncio.Event()

    async def act(_: Work) -> JsonObject:
        await go.wait()
        return {}

    async with bench(broker_url) as here, Running(act, broker_url, look=LOOK, concurrency=1):
        for task_id in ("a", "b", "c", "d"):
            await here.dispatch(task_id)
        await until(lambda: here.said(TaskStarted) == ["a"], "it is busy")
        transport = connection_of("test_worker_001 takes").transport
        await asyncio.sleep(6 * LOOK)
        assert await here.waits(NORMAL) == 2
        assert connection_of("test_worker_001 takes").transport is transport
        go.set()
        await until(lambda: len(here.said(TaskCompleted)) == 4, "all are completed")


async def test_an_agent_that_loses_its_connection_while_it_subscribes_goes_on(
    broker_url: str,
) -> None:
    async with bench(broker_url) as here, Running(echo, broker_url):
        await here.dispatch("a", lane="critical")  # of the lane that is subscribed to first
        await until(lambda: here.said(TaskStarted) == ["a"], "one lane is there")
        await cut("test_worker_001 takes")
        await here.dispatch("b", lane="low")
        await until(lambda: set(here.said(TaskCompleted)) == {"a", "b"}, "all are there")


async def test_a_backup_takes_what_the_others_are_too_busy_for_or_leave(broker_url: str) -> None:
    go = asyncio.Event()
    carried: dict[str, list[str]] = {"first": [], "backup": []}

    def act(name: str) -> Agent:
        async def carry(work: Work) -> JsonObject:
            carried[name].append(work.task_id)
            await go.wait()
            return {}

        return Agent(type="TEST", actions={"act": carry})

    async with (
        bench(broker_url) as here,
        Running(act("backup"), broker_url, agent_id="backup", is_backup=True),
    ):
        await until(lambda: len(registrations(here)) == 1, "the backup is there")
        async with Running(act("first"), broker_url, agent_id="first", concurrency=1):
            await until(lambda: len(registrations(here)) == 2, "both are there")
            await here.dispatch("a")
            await until(lambda: carried["first"] == ["a"], "the first takes one")
            await here.dispatch("b")
            await until(lambda: len(in_hand(here, "first")) == 2, "and has one waiting")
            await here.dispatch("c")
            await until(lambda: carried["backup"] == ["c"], "the backup takes what is too much")
            go.set()
            await until(lambda: len(here.said(TaskCompleted)) == 3, "all are completed")
            for task_id in ("d", "e", "f"):
                await here.dispatch(task_id)
                await until(lambda: task_id in here.said(TaskCompleted), "one at a time is done")  # noqa: B023 # awaited at once
            assert carried == {"first": ["a", "b", "d", "e", "f"], "backup": ["c"]}
        await here.dispatch("g")
        await until(lambda: carried["backup"] == ["c", "g"], "the backup takes over")
    said = {body.agent_id: body.metadata["backup"] for body in registrations(here)}
    assert said == {"backup": True, "first": False}


def in_hand(here: Bench, agent_id: str) -> tuple[object, ...]:
    """Return what an agent's latest heartbeat names."""
    return next((beat.tasks for beat in here.heartbeats[::-1] if beat.agent_id == agent_id), ())


async def test_an_agent_lowers_the_concurrency_of_its_process(broker_url: str) -> None:
    running: list[str] = []
    go = asyncio.Event()

    async def act(work: Work) -> JsonObject:
        running.append(work.task_id)
        await go.wait()
        return {}

    few = Agent(type="TEST", actions={"act": act}, concurrency=2)
    async with bench(broker_url) as here, Running(few, broker_url):
        for task_id in ("a", "b", "c", "d"):
            await here.dispatch(task_id)
        await until(lambda: len(in_hand(here, "test_worker_001")) == 4, "the rest waits there")
        assert running == ["a", "b"]
        assert here.heartbeats[-1].load == 1.0
        go.set()
        await until(lambda: len(here.said(TaskCompleted)) == 4, "all are completed")
    assert registrations(here)[0].capacity.max_concurrent_tasks == 2
