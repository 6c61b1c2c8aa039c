"""An inbox with everything behind it, fed with deliveries instead of by a broker."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from bus.consuming import Consumer
from bus.dead_letters import REASON, DeadLetters
from bus.gate import Gate
from bus.held import Holding
from bus.inbox import Inbox
from bus.messages import Delivery, Message, Outcome
from bus.properties import Properties
from bus.shares import Shares
from bus.signatures import Signatures
from bus.together import end
from bus.topology import REPORTS
from tests.support.memory_store import MemoryStore
from tests.support.recorders import SteppedClock, recording

CONTENT_TYPE = "application/cloudevents+json"


@dataclass
class Arrived:
    """A consumer that has groups of deliveries, and no broker."""

    groups_: Sequence[Sequence[Delivery]]
    queue: str = REPORTS
    acked: asyncio.Event = field(default_factory=asyncio.Event)
    deliveries: Sequence[Delivery] = ()
    left: int = 0

    async def groups(self, _: int) -> AsyncGenerator["Arrived"]:
        self.left = len(self.groups_)
        for group in self.groups_:
            self.deliveries = group
            yield self
        await asyncio.Event().wait()

    async def ack(self) -> None:
        self.left -= 1
        if not self.left:
            self.acked.set()


@dataclass
class Letters:
    """Takes what is sent to the dead letters."""

    sent: list[Message] = field(default_factory=list[Message])

    async def publish_all(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        self.sent += messages
        return ["confirmed" for _ in messages]

    def send(self, message: Message) -> asyncio.Future[Outcome]:
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        answer.set_result("confirmed")
        self.sent.append(message)
        return answer

    @property
    def reasons(self) -> list[str]:
        return [str((one.headers or {})[REASON]) for one in self.sent]


@dataclass
class World:
    """What is behind the inbox, from one feeding to the next."""

    store: MemoryStore = field(default_factory=MemoryStore)
    letters: Letters = field(default_factory=Letters)
    clock: SteppedClock = field(default_factory=SteppedClock)
    requires_user: bool = False
    signatures: Signatures | None = None
    shares: Shares | None = None
    holding: Letters = field(default_factory=Letters)
    """Takes what is held, where somebody has a share."""

    accepted: int = 0
    """How many reports were recorded, or need not be."""

    async def hear(self, *groups: Sequence[Delivery]) -> list[str]:
        """Feed deliveries to an inbox, and return why some were refused, in their order."""
        before = len(self.letters.sent)
        arrived = Arrived(groups)
        async with recording(self.store, clock=self.clock) as recorder:
            gate = Gate(
                self.store,
                recorder,
                self.clock,
                requires_user=self.requires_user,
                signatures=self.signatures,
            )
            letters = DeadLetters(cast("Any", self.letters), self.clock)
            holding = Holding(self.shares, cast("Any", self.holding)) if self.shares else None
            inbox = Inbox(cast("Consumer", arrived), recorder, letters, gate=gate, holding=holding)
            running = asyncio.create_task(inbox.run())
            waiting = asyncio.create_task(arrived.acked.wait())
            await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED, timeout=60)
            is_answered = arrived.acked.is_set()
            await end((running, waiting))
            self.accepted += inbox.accepted
            assert is_answered, "not everything was answered"
        return self.letters.reasons[before:]

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.store.events]


def delivery(envelope: dict[str, Any], **properties: Any) -> Delivery:
    """Return a report as it is delivered."""
    body = properties.pop("body", None) or orjson.dumps(envelope)
    told = {"content_type": CONTENT_TYPE, "message_id": envelope["id"]} | properties
    return Delivery(
        body=body,
        tag=1,
        exchange=REPORTS,
        key=envelope["type"],
        is_redelivered=False,
        properties=Properties(**told),
    )


def report(type_: str, data: dict[str, Any], *, ident: str, source: str) -> dict[str, Any]:
    """Return a report as a CloudEvent."""
    return {
        "specversion": "1.0",
        "id": ident,
        "source": source,
        "type": type_,
        "time": "2026-01-20T11:30:00Z",
        "data": data,
    }


def hello(agent_id: str, agent_type: str = "CAD", ident: str = "", **more: Any) -> dict[str, Any]:
    """Return what an agent says of itself first."""
    data = {"agent_id": agent_id, "agent_type": agent_type, "instance": "1"} | more
    ident = ident or f"hello-{agent_id}"
    return report("agent.registered", data, ident=ident, source=f"/agents/{agent_id}")


def goal(plan_id: str, *tasks: dict[str, Any]) -> dict[str, Any]:
    """Return a goal with its own graph, to be carried out at once."""
    data = {
        "plan_id": plan_id,
        "goal": {"title": "a goal"},
        "options": {"auto_execute": True},
        "tasks": tasks or [{"id": "a", "name": "A", "agent": "CAD"}],
    }
    return report("goal.submitted", data, ident=f"goal-{plan_id}", source="/users/ada")


def attempt(
    type_: str, agent_id: str, *, run_id: str, ident: str = "", epoch: int = 1, **more: Any
) -> dict[str, Any]:
    """Return what an agent says of an attempt."""
    data = {"run_id": run_id, "task_id": "a", "epoch": epoch, "agent_id": agent_id} | more
    ident = ident or f"{type_}-{agent_id}-{run_id}-{epoch}"
    return report(type_, data, ident=ident, source=f"/agents/{agent_id}")
