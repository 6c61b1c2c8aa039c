import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aio_pika
import aiormq.exceptions
import pytest
from aio_pika.abc import AbstractChannel

from agents.kit.application import run_until
from agents.kit.loading import load
from bus.connect import connect as robust
from bus.heartbeats import Believing, listen
from bus.publishing import Publisher
from bus.signals import Heartbeat, encode_heartbeat
from bus.topology import declare, topology, work_queues
from infra.rabbitmq.definitions import (
    DEVELOPMENT,
    definitions,
    written,
)
from infra.rabbitmq.rights import agent_rights
from infra.services.rabbitmq import PrivateRabbitMQ
from tests.support.brokers import call, start_node
from tests.support.ground import Ground
from tests.support.heartbeats import a_heartbeat
from tests.support.waiting import until

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
    ground.close()


def url_of(node: PrivateRabbitMQ, user: str) -> str:
    place = urlsplit(node.url)
    return f"amqp://{user}:development-only@{place.hostname}:{place.port}/taskloom"


@pytest.fixture
async def connect(node: PrivateRabbitMQ) -> AsyncIterator[Connect]:
    connections: list[aio_pika.abc.AbstractConnection] = []

    async def connect(user: str) -> AbstractChannel:
        connections.append(await aio_pika.connect(url_of(node, user)))
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
    await say(agent, "taskloom.dead", "1s.execution.cad.normal")


@pytest.mark.node
async def test_the_kit_lives_with_these_rights(connect: Connect, node: PrivateRabbitMQ) -> None:
    coordinator = await connect("coordinator")
    reports = await coordinator.get_queue("taskloom.reports", ensure=False)
    await reports.purge()
    stop = asyncio.Event()
    running = asyncio.create_task(
        run_until(stop, load("agents.workers.cad"), url=url_of(node, AGENT))
    )
    async with asyncio.timeout(20), reports.iterator() as said:
        async for message in said:
            await message.ack()
            if message.routing_key == "agent.registered":
                break
    stop.set()
    async with asyncio.timeout(20):
        await running


@pytest.mark.proves("S-13b")
@pytest.mark.node
async def test_an_agent_brings_its_own_queue_back(connect: Connect) -> None:
    await (await connect("coordinator")).queue_delete(OWN_WORK)
    agent = await connect(AGENT)
    for queue in work_queues("execution", "CAD"):
        declared = await agent.declare_queue(
            queue.name, durable=True, arguments=dict(queue.arguments)
        )
        await declared.bind("taskloom.work", queue.keys[0])


@pytest.mark.proves("B-01")
@pytest.mark.node
@pytest.mark.parametrize(
    ("exchange", "key"),
    [
        ("taskloom.events", "task.completed"),
        ("taskloom.work", "execution.sim.normal"),
        ("taskloom.retry", "1s.execution.sim.normal"),
        ("taskloom.dead", "execution.sim.normal"),
        ("taskloom.reports", "goal.submitted"),
        ("taskloom.reports", "plan.cancel_requested"),
        ("taskloom.signals", "system.shutdown"),
        ("taskloom.signals", "order.sim_worker_001"),
        ("taskloom.signals", "keeper.echo"),
        ("taskloom.work", "agent.execution.cad.cad_worker_002"),
        ("", OTHERS_WORK),
        ("", OWN_WORK),
        ("", "taskloom.reports"),
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


async def cut_the_reports_off(agent: AbstractChannel) -> None:
    reports = await agent.get_queue("taskloom.reports", ensure=False)
    await reports.unbind("taskloom.reports", "#")


async def listen_to_all_work(agent: AbstractChannel) -> None:
    await (await agent.get_queue(OWN_WORK, ensure=False)).bind("taskloom.work", "#")


async def take_the_work_of_others(agent: AbstractChannel) -> None:
    own = await agent.get_queue(OWN_WORK, ensure=False)
    await own.bind("taskloom.work", "#.execution.sim.normal")


async def empty_the_queue_of_others(agent: AbstractChannel) -> None:
    await (await agent.get_queue(OTHERS_WORK, ensure=False)).purge()


async def delete_the_queue_of_others(agent: AbstractChannel) -> None:
    await agent.queue_delete(OTHERS_WORK)


async def delete_the_exchange_of_all_work(agent: AbstractChannel) -> None:
    await agent.exchange_delete("taskloom.work")


async def make_an_exchange(agent: AbstractChannel) -> None:
    await agent.declare_exchange("taskloom.mine", "topic", durable=True)


async def listen_to_events(agent: AbstractChannel) -> None:
    own = await agent.get_queue(OWN_WORK, ensure=False)
    await own.bind("taskloom.events", "#")


async def listen_to_what_agents_have_in_hand(agent: AbstractChannel) -> None:
    own = await agent.get_queue(OWN_WORK, ensure=False)
    await own.bind("taskloom.signals", "agent.heartbeat")


async def listen_to_requests_to_others(agent: AbstractChannel) -> None:
    ear = await agent.declare_queue("taskloom.work.execution.cad.agent.me.1", exclusive=True)
    await ear.bind("taskloom.work", "agent.execution.cad.me")
    await ear.bind("taskloom.work", "agent.execution.sim.sim_worker_001")


async def listen_to_requests_to_anybody(agent: AbstractChannel) -> None:
    ear = await agent.declare_queue("taskloom.work.execution.cad.agent.me.2", exclusive=True)
    await ear.bind("taskloom.work", "agent.execution.cad.#")


async def listen_to_answers(agent: AbstractChannel) -> None:
    own = await agent.get_queue(OWN_WORK, ensure=False)
    await own.bind("taskloom.signals", "agent.answer.1")


async def read_reports(agent: AbstractChannel) -> None:
    await (await agent.get_queue("taskloom.reports", ensure=False)).get(fail=False)


async def read_the_dead_letters(agent: AbstractChannel) -> None:
    await (await agent.get_queue("taskloom.dead", ensure=False)).get(fail=False)


async def empty_the_reports(agent: AbstractChannel) -> None:
    await (await agent.get_queue("taskloom.reports", ensure=False)).purge()


async def delete_the_exchange_of_reports(agent: AbstractChannel) -> None:
    await agent.exchange_delete("taskloom.reports")


async def delete_the_exchange_of_events(agent: AbstractChannel) -> None:
    await agent.exchange_delete("taskloom.events")


async def delete_the_exchange_of_signals(agent: AbstractChannel) -> None:
    await agent.exchange_delete("taskloom.signals")


async def take_the_orders_of_others(agent: AbstractChannel) -> None:
    await agent.declare_queue("taskloom.signals.execution.sim.sim_worker_001", exclusive=True)


async def take_the_requests_to_others(agent: AbstractChannel) -> None:
    name = "taskloom.work.execution.sim.agent.sim_worker_001.1"
    await agent.declare_queue(name, exclusive=True)


async def keep_a_queue_of_its_own(agent: AbstractChannel) -> None:
    await agent.declare_queue(exclusive=True)


@pytest.mark.proves("B-02")
@pytest.mark.node
@pytest.mark.parametrize(
    "deed",
    [
        read_the_work_of_others,
        empty_the_queue_of_others,
        delete_the_queue_of_others,
        delete_the_exchange_of_all_work,
        make_an_exchange,
        listen_to_events,
        listen_to_what_agents_have_in_hand,
        listen_to_requests_to_others,
        listen_to_requests_to_anybody,
        listen_to_answers,
        read_reports,
        empty_the_reports,
        read_the_dead_letters,
        delete_the_exchange_of_reports,
        delete_the_exchange_of_events,
        delete_the_exchange_of_signals,
        take_the_orders_of_others,
        take_the_requests_to_others,
        delete_the_dead_letters,
        take_the_work_of_others,
        keep_a_queue_of_its_own,
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


@pytest.mark.proves("B-03", "A-09")
@pytest.mark.node
async def test_nobody_speaks_under_the_name_of_another(connect: Connect) -> None:
    reports = await (await connect(AGENT)).get_exchange("taskloom.reports", ensure=False)
    forged = aio_pika.Message(b"{}", user_id="agent.execution.sim")
    with pytest.raises(aiormq.exceptions.ChannelPreconditionFailed):
        await reports.publish(forged, routing_key="task.completed")


@pytest.mark.proves("S-12d")
@pytest.mark.node
@pytest.mark.parametrize("header", ["CC", "BCC"])
async def test_a_copy_arrives_under_the_key_that_was_checked(connect: Connect, header: str) -> None:
    """Before RabbitMQ 4 the copies of a message pass the check of its key."""
    coordinator, agent = await connect("coordinator"), await connect(AGENT)
    ear = await coordinator.declare_queue(exclusive=True)
    await ear.bind("taskloom.signals", "order.#")
    reports = await coordinator.get_queue("taskloom.reports", ensure=False)
    await reports.purge()
    for exchange, key, other in (
        ("taskloom.signals", "agent.heartbeat", "order.sim_worker_001"),
        ("taskloom.reports", "task.started", "goal.submitted"),
    ):
        target = await agent.get_exchange(exchange, ensure=False)
        copied = aio_pika.Message(b"{}", headers={header: [other]})
        try:
            await target.publish(copied, routing_key=key, mandatory=False)
        except aiormq.exceptions.ChannelAccessRefused:
            agent = await connect(AGENT)  # RabbitMQ 4 refuses it
            continue
        queue = ear if exchange == "taskloom.signals" else reports
        arrived = await queue.get(timeout=10)
        assert arrived is not None
        assert arrived.routing_key == key


@pytest.mark.proves("S-12a")
@pytest.mark.node
async def test_an_agent_of_one_type_has_no_heartbeat_of_another(node: PrivateRabbitMQ) -> None:
    own = a_heartbeat(agent_id="cad_worker_001")
    heard: list[Heartbeat] = []
    async with (
        await robust(url_of(node, "coordinator"), name="ears") as ears,
        await robust(url_of(node, AGENT), name="mouth") as mouth,
        Publisher(mouth) as publisher,
    ):
        await listen(ears, heard.append, believing=Believing(requires_user=True))
        for kind in ({"agent_type": "SIM"}, {"role": "planning"}):
            foreign = encode_heartbeat(own.model_copy(update=kind), message_id=str(kind))
            await publisher.send(foreign)
        async with mouth.channel() as channel:
            signals = await channel.get_exchange("taskloom.signals", ensure=False)
            anonymous = aio_pika.Message(encode_heartbeat(own, message_id="nobody").body)
            await signals.publish(anonymous, routing_key="agent.heartbeat", mandatory=False)
        await publisher.send(encode_heartbeat(own, message_id="own"))
        await until(lambda: heard != [], "its own heartbeat")
        await asyncio.sleep(0.2)
    assert heard == [own]


@pytest.mark.proves("B-04", "S-13c")
@pytest.mark.node
async def test_agents_of_a_type_open_no_more_than_they_may(node: PrivateRabbitMQ) -> None:
    rights = [agent_rights("execution", "CROWD", most=1)]
    assert rights[0].limits == {"max-connections": 4, "max-channels": 16}
    passwords = {rights[0].user: DEVELOPMENT}
    wanted = written(definitions(rights, passwords)).encode()
    call(node.management_url, "POST", "definitions", wanted)
    url = url_of(node, rights[0].user)
    open_ = [await aio_pika.connect(url) for _ in range(rights[0].limits["max-connections"])]
    with pytest.raises(aiormq.exceptions.AMQPError):
        await aio_pika.connect(url)
    channels = [await open_[0].channel() for _ in range(rights[0].limits["max-channels"])]
    with pytest.raises(aiormq.exceptions.AMQPError):
        await open_[1].channel()
    assert (len(open_), len(channels)) == (4, 16)
    for connection in open_:
        await connection.close()


@pytest.mark.proves("B-05")
@pytest.mark.node
@pytest.mark.parametrize("user", ["projector", "api"])
async def test_a_reader_listens_to_events_and_writes_none(connect: Connect, user: str) -> None:
    reader = await connect(user)
    ear = await reader.declare_queue(exclusive=True)
    await ear.bind("taskloom.events", "#")
    await reader.declare_exchange("taskloom.signals", "topic", durable=True)  # as ``listen`` does
    with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
        await say(reader, "taskloom.events", "task.completed")


@pytest.mark.proves("B-05")
@pytest.mark.node
async def test_the_api_asks_agents_and_sends_them_no_work(connect: Connect) -> None:
    api = await connect("api")
    await say(api, "taskloom.work", "agent.execution.cad.cad_worker_001")
    with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
        await say(api, "taskloom.work", "execution.cad.normal")
