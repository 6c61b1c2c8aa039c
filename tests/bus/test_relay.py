"""The relay: what is recorded reaches the broker, and work reaches a queue."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import cast

import orjson
import pytest

from bus.breakers import DETOUR
from bus.messages import Message, Outcome
from bus.publishing import Publisher
from bus.relay import LARGEST_EVENT, Relay, TooManyTypes, messages_of, work_of
from bus.topology import EVENTS, RETRY, WORK, declare_work, retry_key, work_key
from domain.policies import Event
from domain.recorded import Recorded, derived_id
from domain.run_events import TaskDispatched
from domain.values import AgentType, Role
from tests.support.exchanges import Broker, a_broker
from tests.support.making import RUN_ID, after, requested, task
from tests.support.recording import hello, recorded


@pytest.fixture
async def broker(vhost_url: str) -> AsyncIterator[Broker]:
    async with a_broker(vhost_url) as known:
        yield known


def relay_on(broker: Broker) -> Relay:
    async def declare(role: Role, agent_type: AgentType) -> None:
        await declare_work(broker.channel, role, agent_type)

    return Relay(broker.publisher, declare)


def dispatched(*, agent: str = "NOOP", delay: int = 0, size: int = 1) -> Recorded[Event]:
    run = requested(task("a", agent=agent, params={"text": "x" * size}))
    (event,) = [each for each in after(run) if isinstance(each, TaskDispatched)]
    delayed = event.model_copy(update={"delay": delay})
    return recorded(RUN_ID, 2, delayed, position=7)


def queue_of(agent: str) -> str:
    return f"{WORK}.{work_key('execution', agent, 'normal')}"


async def test_an_event_is_published_under_its_type(broker: Broker) -> None:
    ear = await broker.channel.declare_queue(exclusive=True)
    await ear.bind(EVENTS, "agent.#")
    event = recorded("agent:ann", 1, hello("ann"), position=7)
    await relay_on(broker)([event])
    got = await ear.get(timeout=10)
    assert (got.routing_key, got.message_id, got.type) == (
        "agent.registered",
        event.id,
        "agent.registered",
    )
    assert orjson.loads(got.body)["data"]["agent_id"] == "ann"


async def test_an_event_that_nobody_listens_to_is_done(broker: Broker) -> None:
    events = [recorded("agent:ann", n, hello("ann")) for n in range(1, 200)]
    await asyncio.wait_for(relay_on(broker)(events), 30)


async def test_a_dispatched_task_lies_in_the_queue_of_its_agents(broker: Broker) -> None:
    event = dispatched()
    await relay_on(broker)([event])
    (work,) = await broker.take(queue_of("NOOP"))
    assert work.message_id == derived_id(event.id, "work")
    assert orjson.loads(work.body)["data"]["task_id"] == "a"


async def test_the_queue_of_an_agent_type_nobody_has_heard_of_is_made(broker: Broker) -> None:
    await asyncio.wait_for(relay_on(broker)([dispatched(agent="ROBOT"), dispatched()]), 60)
    assert len(await broker.take(queue_of("ROBOT"))) == 1
    assert len(await broker.take(queue_of("NOOP"))) == 1


async def test_work_that_has_to_wait_arrives_later(broker: Broker) -> None:
    await relay_on(broker)([dispatched(delay=1)])
    assert await broker.take(queue_of("NOOP")) == []
    await broker.until_holds(queue_of("NOOP"), 1)
    assert await broker.count(f"{RETRY}.1s") == 0


async def test_work_that_is_held_back_can_be_seen_to_wait(broker: Broker) -> None:
    def delay_of(role: Role, agent_type: AgentType) -> int:
        return DETOUR if (role, agent_type) == ("execution", "NOOP") else 0

    relay = Relay(broker.publisher, _nothing, delay_of=delay_of)
    await relay([dispatched(), dispatched(delay=2)])
    await relay.publish_work([dispatched()])
    assert await broker.count(f"{RETRY}.{DETOUR}s") == 3
    assert await broker.count(f"{RETRY}.2s") == 0
    assert await broker.take(queue_of("NOOP")) == []


async def test_work_that_is_owed_is_published_again_without_its_event(broker: Broker) -> None:
    ear = await broker.channel.declare_queue(exclusive=True)
    await ear.bind(EVENTS, "#")
    await relay_on(broker).publish_work([dispatched(), recorded("agent:ann", 1, hello("ann"))])
    assert len(await broker.take(queue_of("NOOP"))) == 1
    assert await ear.get(fail=False) is None


async def test_a_large_event_travels_as_a_reference_and_its_work_as_it_is() -> None:
    size = LARGEST_EVENT - 100
    fact, work = messages_of(dispatched(size=size))
    shown = orjson.loads(fact.body)
    assert shown["dataref"] == "/api/v1/events/7"
    assert "data" not in shown
    assert len(orjson.loads(work.body)["data"]["params"]["text"]) == size
    small, _ = messages_of(dispatched(size=1_000))
    assert "dataref" not in orjson.loads(small.body)


async def test_what_a_crash_repeats_is_recognised_by_its_ids() -> None:
    event = dispatched()
    assert messages_of(event) == messages_of(event)
    assert work_of(event) == messages_of(event)[1:]
    other = replace(event, id="another")
    ids = {message.message_id for each in (event, other) for message in messages_of(each)}
    assert len(ids) == 4


async def _nothing(_: Role, __: AgentType) -> None:
    pass


class Moody:
    """A publisher whose broker says what it is told to say, and then confirms."""

    def __init__(self, *moods: Outcome) -> None:
        self._moods = list(moods)
        self.sent: list[list[str]] = []

    async def publish_all(self, messages: Iterable[Message]) -> Sequence[Outcome]:
        keys = [message.key for message in messages]
        self.sent.append(keys)
        return [self._moods.pop(0) if self._moods else "confirmed" for _ in keys]


@pytest.mark.parametrize("mood", ["nacked", "unknown", "unroutable"])
async def test_what_was_not_confirmed_is_repeated_and_nothing_else(mood: Outcome) -> None:
    declared: list[tuple[Role, AgentType]] = []

    async def declare(role: Role, agent_type: AgentType) -> None:
        declared.append((role, agent_type))

    publisher = Moody("confirmed", mood, "confirmed", "confirmed", mood)
    relay = Relay(cast("Publisher", publisher), declare)
    await relay([dispatched(), recorded("agent:ann", 1, hello("ann"))])
    work = work_key("execution", "NOOP", "normal")
    assert publisher.sent == [["task.dispatched", work, "agent.registered"], [work]]
    assert declared == ([("execution", "NOOP")] if mood == "unroutable" else [])


async def test_work_for_a_type_that_gets_no_queues_is_left_at_once_and_only_that() -> None:
    publisher = Moody("confirmed", "unroutable", "confirmed", "unroutable")
    relay = Relay(cast("Publisher", publisher), _only_noop)
    assert not await relay.publish_work([dispatched(agent="ROBOT"), dispatched(agent="ROBOT")])
    await relay([dispatched(agent="ROBOT"), dispatched()])
    robot, noop = (work_key("execution", agent, "normal") for agent in ("ROBOT", "NOOP"))
    assert publisher.sent == [[robot, robot], ["task.dispatched", robot, "task.dispatched", noop]]
    assert relay.is_lacking("execution", "ROBOT")
    assert not relay.is_lacking("execution", "NOOP")
    kind = ("execution", "ROBOT", "normal")
    assert [relay.take_left(kind), relay.take_left(kind)] == [True, False]  # type: ignore[arg-type] # Literals


async def test_work_that_would_wait_to_go_nowhere_stands_in_no_retry_queue() -> None:
    publisher = Moody()
    relay = Relay(cast("Publisher", publisher), _only_noop)
    waiting = [dispatched(agent="ROBOT", delay=2), dispatched(delay=2)]
    assert not await relay.publish_work(waiting, delay=2)
    assert await relay.publish_work(waiting[1:], delay=2)
    retried = retry_key(2, "execution", "NOOP", "normal")
    assert publisher.sent == [[retried], [retried]]


async def _only_noop(role: Role, agent_type: AgentType) -> None:
    if agent_type != "NOOP":
        raise TooManyTypes(role, agent_type, 0)


@pytest.mark.parametrize("mood", ["nacked", "unroutable"])
async def test_what_the_broker_keeps_refusing_does_not_hold_up_the_log(mood: Outcome) -> None:
    async def declare(role: Role, agent_type: AgentType) -> None:
        raise ConnectionError("somebody declared the queue otherwise")

    refusals: list[Outcome] = [mood] * 100
    publisher = Moody("confirmed", *refusals)
    await asyncio.wait_for(Relay(cast("Publisher", publisher), declare)([dispatched()]), 30)
    work = work_key("execution", "NOOP", "normal")
    assert publisher.sent == [["task.dispatched", work], *[[work]] * 4]


async def test_a_broker_that_is_silent_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bus.relay.reconnect_interval", lambda: 0.0)
    silence: list[Outcome] = ["unknown"] * 100
    publisher = Moody(*silence)
    await Relay(cast("Publisher", publisher), _nothing)([recorded("agent:ann", 1, hello("ann"))])
    assert len(publisher.sent) == 101


@pytest.mark.real
async def test_a_subscriber_that_does_not_drain_its_queue_holds_up_nobody(broker: Broker) -> None:
    full = await broker.channel.declare_queue(
        exclusive=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"}
    )
    await full.bind(EVENTS, "#")
    events = [recorded("agent:ann", n, hello("ann")) for n in (1, 2, 3)]
    await asyncio.wait_for(relay_on(broker)([*events, dispatched()]), 30)
    assert len(await broker.take(queue_of("NOOP"))) == 1


async def test_the_queue_that_a_retry_lacks_is_that_of_its_agents() -> None:
    declared: list[tuple[Role, AgentType]] = []

    async def declare(role: Role, agent_type: AgentType) -> None:
        declared.append((role, agent_type))

    publisher = Moody("confirmed", "unroutable")
    await Relay(cast("Publisher", publisher), declare)([dispatched(agent="ROBOT", delay=2)])
    assert set(declared) == {("execution", "ROBOT")}
