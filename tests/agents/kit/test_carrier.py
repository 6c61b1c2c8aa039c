"""The carrier alone: what becomes of deliveries, without a broker."""

import asyncio
import json
from asyncio import Future
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from agents.agent import Agent, CannotBeDone, Work
from agents.kit.carrier import Carrier
from agents.kit.identity import Identity
from agents.kit.reporter import Reporter
from bus.envelope import encode_recorded
from bus.messages import Message, Outcome
from bus.orders import TaskGrant, TaskStop
from bus.ports import SystemClock
from domain.run_events import TaskDispatched
from domain.tasks import Effect
from domain.usage import ModelCall
from domain.values import JsonObject
from tests.support.recording import recorded


class Confirming:
    """A broker that takes charge of everything at once, or when it is told to."""

    def __init__(self, *, is_slow: bool = False) -> None:
        self.is_slow = is_slow
        self.sent: list[str] = []
        self.bodies: list[bytes] = []
        self.open: list[Future[Outcome]] = []

    def send(self, message: Message) -> Future[Outcome]:
        outcome: Future[Outcome] = asyncio.get_running_loop().create_future()
        self.sent.append(message.type)
        self.bodies.append(message.body)
        self.open.append(outcome)
        if not self.is_slow:
            self.confirm()
        return outcome

    def confirm(self) -> None:
        """Take charge of all that was sent."""
        self.is_slow = False
        for outcome in self.open:
            outcome.set_result("confirmed")
        self.open.clear()

    async def publish_all(self, messages: Iterable[Message]) -> Sequence[Outcome]:
        return [await self.send(message) for message in messages]


@dataclass
class InHand:
    """A delivery that shows whether it was answered."""

    body: bytes
    tag: int
    is_acked: bool = False
    is_back: bool = False
    exchange: str = "taskloom.work"
    key: str = "execution.noop.normal"
    message_id: str | None = "1"
    headers: Mapping[str, object] = field(default_factory=dict)

    def ack(self) -> None:
        self.is_acked = True

    async def give_back(self) -> None:
        self.is_back = True


def work(task_id: str, *, effect: Effect = "none") -> bytes:
    dispatched = TaskDispatched(
        run_id="exec_1",
        plan_id=None,
        task_id=task_id,
        epoch=1,
        agent="NOOP",
        role="execution",
        lane="normal",
        name=task_id,
        action="work",
        params={},
        inputs={},
        effect=effect,
    )
    return encode_recorded(recorded("exec_1", 1, dispatched))


async def test_what_is_delivered_twice_while_it_waits_is_answered_twice() -> None:
    # Found by the simulation: the first delivery stayed unanswered as long as the channel lived.
    done = asyncio.Event()

    async def carry(_: Work) -> JsonObject:
        await done.wait()
        return {}

    async def restore() -> None:
        pass

    identity = Identity(agent_id="ann", agent_type="NOOP", role="execution")
    reporter = Reporter(Confirming(), identity, restore=restore, clock=SystemClock())
    agent = Agent(type="NOOP", actions={"*": carry})
    carrier = Carrier(agent, identity, reporter, concurrency=1, patience=60)
    first, twice = InHand(work("a"), 1), [InHand(work("b"), tag) for tag in (2, 3)]
    await carrier.take(first, lane="normal", queue="q")
    takes = [asyncio.ensure_future(carrier.take(one, lane="normal", queue="q")) for one in twice]
    await asyncio.sleep(0)
    done.set()
    async with asyncio.timeout(5):
        await asyncio.gather(*takes)
    await carrier.drain(5)
    assert [one.is_acked for one in (first, *twice)] == [True, True, True]


async def test_an_effect_waits_for_the_grant_of_its_own_start() -> None:
    begun = asyncio.Event()

    async def carry(_: Work) -> JsonObject:
        begun.set()
        return {}

    async def restore() -> None:
        pass

    identity = Identity(agent_id="ann", agent_type="NOOP", role="execution", instance="2")
    reporter = Reporter(Confirming(), identity, restore=restore, clock=SystemClock())
    agent = Agent(type="NOOP", actions={"*": carry})
    carrier = Carrier(agent, identity, reporter, concurrency=1, patience=60)
    await carrier.take(InHand(work("a", effect="external"), 1), lane="normal", queue="q")
    carrier.obey(TaskGrant(run_id="exec_1", task_id="a", epoch=1, instance="1"))
    await asyncio.sleep(0.01)
    assert not begun.is_set()
    carrier.obey(TaskGrant(run_id="exec_1", task_id="a", epoch=1, instance="2"))
    async with asyncio.timeout(5):
        await begun.wait()
    await carrier.drain(5)


@pytest.mark.parametrize("effect", ["none", "external"])
async def test_what_is_stopped_while_its_start_is_reported_is_let_go(effect: Effect) -> None:
    # Found by the simulation: it kept its place, and waited for a grant that never came.
    async def carry(_: Work) -> JsonObject:
        raise AssertionError("it was told to stop")

    async def restore() -> None:
        pass

    broker = Confirming(is_slow=True)
    identity = Identity(agent_id="ann", agent_type="NOOP", role="execution")
    reporter = Reporter(broker, identity, restore=restore, clock=SystemClock())
    agent = Agent(type="NOOP", actions={"*": carry})
    carrier = Carrier(agent, identity, reporter, concurrency=1, patience=60)
    body = work("a", effect=effect)
    taking = asyncio.ensure_future(carrier.take(InHand(body, 1), lane="normal", queue="q"))
    await asyncio.sleep(0)
    carrier.obey(TaskStop(run_id="exec_1", task_id="a", epoch=1))
    broker.confirm()
    await taking
    await carrier.drain(5)
    assert carrier.in_hand() == ()
    assert carrier.gate.taken == 0
    assert broker.sent == ["task.started", "task.stopped"]


@pytest.mark.parametrize("end", ["completed", "failed", "stopped"])
async def test_whatever_becomes_of_an_attempt_its_calls_are_told(end: str) -> None:
    begun = asyncio.Event()
    call = ModelCall(provider="p", model="m", outcome="answered", input_tokens=7)

    async def carry(work: Work) -> JsonObject:
        work.charge(call)
        begun.set()
        if end == "failed":
            raise CannotBeDone("no")
        if end == "stopped":
            await asyncio.Event().wait()
        return {}

    async def restore() -> None:
        pass

    broker = Confirming()
    identity = Identity(agent_id="ann", agent_type="NOOP", role="execution")
    reporter = Reporter(broker, identity, restore=restore, clock=SystemClock())
    agent = Agent(type="NOOP", actions={"*": carry})
    carrier = Carrier(agent, identity, reporter, concurrency=1, patience=60)
    await carrier.take(InHand(work("a"), 1), lane="normal", queue="q")
    await begun.wait()
    carrier.obey(TaskStop(run_id="exec_1", task_id="a", epoch=1))
    await carrier.drain(5)
    said = json.loads(broker.bodies[-1])
    assert said["type"] == f"task.{end}"
    assert [each["input_tokens"] for each in said["data"]["calls"]] == [7]
