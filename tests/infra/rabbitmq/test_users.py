import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aio_pika
import aiormq.exceptions
import pytest
from aio_pika.abc import AbstractChannel

from bus.topology import EXECUTION_TYPES, PLANNING_TYPES, declare, topology
from infra.services.rabbitmq import PrivateRabbitMQ
from tests.support.brokers import call, start_node
from tests.support.ground import Ground

ROOT = Path(__file__).parents[3]
DEFINITIONS = ROOT / "infra" / "rabbitmq" / "definitions.json"
AGENT = "agent.execution.cad"
OWN_WORK = "taskloom.work.execution.cad.normal"
OTHERS_WORK = "taskloom.work.execution.sim.normal"

Connect = Callable[[str], Awaitable[AbstractChannel]]


@pytest.fixture(scope="module")
def node() -> Iterator[PrivateRabbitMQ]:
    """A RabbitMQ of its own: users belong to a node, not to a virtual host."""
    ground = Ground()
    node = start_node(ground)
    call(node.management_url, "POST", "definitions", DEFINITIONS.read_bytes())
    yield node
    ground.end()


@pytest.fixture
async def connect(node: PrivateRabbitMQ) -> AsyncIterator[Connect]:
    connections: list[aio_pika.abc.AbstractConnection] = []

    async def connect(user: str) -> AbstractChannel:
        place = urlsplit(node.url)
        url = f"amqp://{user}:development-only@{place.hostname}:{place.port}/taskloom"
        connections.append(await aio_pika.connect(url))
        return await connections[-1].channel(on_return_raises=True)

    await declare(await connect("coordinator"), topology())
    yield connect
    for connection in connections:
        await connection.close()


async def say(channel: AbstractChannel, exchange: str, key: str) -> None:
    target = await channel.get_exchange(exchange, ensure=False)
    await target.publish(aio_pika.Message(b"{}"), routing_key=key, mandatory=False)


@pytest.mark.node
async def test_an_agent_takes_its_work_and_reports(connect: Connect) -> None:
    coordinator, agent = await connect("coordinator"), await connect(AGENT)
    await say(coordinator, "taskloom.work", "execution.cad.normal")
    work = await agent.get_queue(OWN_WORK, ensure=False)
    async with work.iterator(timeout=10) as taken:
        async for message in taken:
            await message.ack()
            break
    for key in ("task.started", "task.completed", "agent.registered"):
        await say(agent, "taskloom.reports", key)
    await say(agent, "taskloom.signals", "agent.heartbeat")


@pytest.mark.node
async def test_an_agent_hears_signals_on_a_queue_that_vanishes(connect: Connect) -> None:
    agent = await connect(AGENT)
    ear = await agent.declare_queue(exclusive=True)
    await ear.bind("taskloom.signals", "system.#")


@pytest.mark.node
@pytest.mark.parametrize(
    ("exchange", "key"),
    [
        ("taskloom.events", "task.completed"),
        ("taskloom.work", "execution.sim.normal"),
        ("taskloom.retry", "1s.execution.sim.normal"),
        ("taskloom.dead", "task.completed"),
        ("taskloom.reports", "goal.submitted"),
        ("taskloom.reports", "plan.cancel_requested"),
        ("taskloom.signals", "system.shutdown"),
    ],
)
async def test_an_agent_may_not_say(connect: Connect, exchange: str, key: str) -> None:
    agent = await connect(AGENT)
    with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
        await say(agent, exchange, key)


async def read_the_work_of_others(agent: AbstractChannel) -> None:
    await (await agent.get_queue(OTHERS_WORK, ensure=False)).get(fail=False)


async def delete_the_dead_letters(agent: AbstractChannel) -> None:
    await agent.queue_delete("taskloom.dead")


async def delete_its_own_work(agent: AbstractChannel) -> None:
    await agent.queue_delete(OWN_WORK)


async def cut_the_reports_off(agent: AbstractChannel) -> None:
    reports = await agent.get_queue("taskloom.reports", ensure=False)
    await reports.unbind("taskloom.reports", "#")


async def listen_to_all_work(agent: AbstractChannel) -> None:
    await (await agent.declare_queue(exclusive=True)).bind("taskloom.work", "#")


@pytest.mark.node
@pytest.mark.parametrize(
    "deed",
    [
        read_the_work_of_others,
        delete_the_dead_letters,
        delete_its_own_work,
        cut_the_reports_off,
        listen_to_all_work,
    ],
)
async def test_an_agent_may_not(
    connect: Connect, deed: Callable[[AbstractChannel], Awaitable[None]]
) -> None:
    agent = await connect(AGENT)
    with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
        await deed(agent)


@pytest.mark.node
@pytest.mark.parametrize("user", ["projector", "api"])
async def test_a_reader_listens_to_events_and_writes_none(connect: Connect, user: str) -> None:
    reader = await connect(user)
    ear = await reader.declare_queue(exclusive=True)
    await ear.bind("taskloom.events", "#")
    with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
        await say(reader, "taskloom.events", "task.completed")


def users() -> dict[str, str]:
    return {
        one["name"]: one["password_hash"] for one in json.loads(DEFINITIONS.read_text())["users"]
    }


def test_every_password_is_the_one_that_is_called_development_only() -> None:
    for name, stored in users().items():
        salt = base64.b64decode(stored)[:4]
        hashed = salt + hashlib.sha256(salt + b"development-only").digest()
        assert base64.b64encode(hashed).decode() == stored, name


def test_every_known_type_of_agent_has_a_user() -> None:
    expected = {f"agent.planning.{kind.lower()}" for kind in PLANNING_TYPES}
    expected |= {f"agent.execution.{kind.lower()}" for kind in EXECUTION_TYPES if kind != "NOOP"}
    assert {name for name in users() if name.startswith("agent.")} == expected


def test_compose_starts_every_user_and_no_other() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(r"amqp://([a-z_.]+):", compose)) == users().keys() - {"admin", "monitor"}


def test_compose_opens_ports_to_this_machine_only() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    published = re.findall(r'"([^"\s]*:\d+)"', compose)
    ports = [one for one in published if not one.startswith("10001:")]
    assert len(ports) == 3
    assert all(one.startswith("127.0.0.1:") for one in ports)


def test_compose_starts_modules_that_exist() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    modules = re.findall(r"command: \[agent, ([a-z_.]+)\]", compose)
    assert len(modules) == 11
    missing = [name for name in modules if not (ROOT / f"{name.replace('.', '/')}.py").exists()]
    assert missing == []
