"""Subscriptions: who wants to hear of what, how it is brought to them, and how far they are."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from bus.embedded.routing import TopicTable
from domain.agent import AgentRegistered, AgentStatus
from domain.messages import MessagePublished
from domain.policies import Event
from domain.recorded import Recorded
from domain.runs_of_plans import plan_behind

Delivery = Literal["queue", "webhook", "websocket"]
State = Literal["active", "disabled"]
Filter = Literal[
    "agent_type", "agent_id", "plan_id", "execution_id", "task_id", "status", "priority", "actor"
]
"""What events can be picked by besides their topics."""

OPEN: Final = frozenset(
    {"plan", "run", "task", "gather", "replan", "report", "agent", "breaker", "message"}
)
"""What the types of events begin with that every subscriber may hear of."""

DISABLED: Final = "subscription.disabled"
"""The topic of the message that tells of a subscription that was given up."""

QUEUE: Final = "taskloom.subscriber"

OwnerOf = Callable[[str], Awaitable[str | None]]
"""Tells who owns a plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One subscription, as it stands."""

    subscription_id: str
    owner: str
    """The actor that made it."""

    agent_id: str
    topics: Sequence[str]
    filters: Mapping[str, str]
    delivery: Delivery
    url: str | None = None
    secret: str | None = None
    hears_all: bool = False
    """Whether it hears what concerns security, too."""

    plans_of: str | None = None
    """The actor whose plans it hears of; None hears of everybody's."""

    created_at: datetime
    position: int
    """The last event that was brought, or passed over because it does not match."""

    delivered: int = 0
    state: State = "active"
    failing_since: datetime | None = None
    failures: int = 0
    """Attempts that have failed since the last one that did not."""

    last_error: str | None = None

    @property
    def queue(self) -> str | None:
        """The name of the queue it is brought to, if it is."""
        return queue_of(self.subscription_id) if self.delivery == "queue" else None

    def matches(self, recorded: Recorded[Event], agent_type: str | None) -> bool:
        """Say whether it wants to hear of an event."""
        if not self.hears_all and recorded.type.partition(".")[0] not in OPEN:
            return False
        table: TopicTable[int] = TopicTable()
        for topic in self.topics:
            table.add(topic, 0)
        if not table.match(topic_of(recorded)):
            return False
        if not self.filters:
            return True
        facts = facts_of(recorded, agent_type)
        return all(facts.get(name) == wanted for name, wanted in self.filters.items())


class Subscriptions(Protocol):
    """Keeps subscriptions, and how far each of them is.

    Every method raises ``Unavailable`` when the database does not answer.
    """

    async def add(self, subscription: Subscription) -> None:
        """Keep a new one."""
        ...

    async def find(self, subscription_id: str) -> Subscription | None:
        """Return one, if it is there."""
        ...

    async def all(self, *, owner: str | None = None) -> Sequence[Subscription]:
        """Return those of an actor, or everybody's, the oldest first."""
        ...

    async def remove(self, subscription_id: str) -> bool:
        """Forget one; False where it is not there."""
        ...

    async def advance(self, subscription_id: str, position: int, *, delivered: int) -> None:
        """Remember that it is further, and that what failed has succeeded."""
        ...

    async def fail(self, subscription_id: str, why: str, *, at: datetime) -> Subscription | None:
        """Remember that an attempt has failed, and return how it stands; None where it is gone."""
        ...

    async def disable(self, subscription_id: str, why: str) -> None:
        """Bring nothing to it any more."""
        ...


def queue_of(subscription_id: str) -> str:
    """Return the name of a subscription's queue."""
    return f"{QUEUE}.{subscription_id}"


def topic_of(recorded: Recorded[Event]) -> str:
    """Return what an event is about: its type, or what its publisher says."""
    event = recorded.event
    return event.topic if isinstance(event, MessagePublished) else recorded.type


def facts_of(recorded: Recorded[Event], agent_type: str | None) -> Mapping[str, str]:
    """Return what an event can be picked by."""
    event = recorded.event
    facts: dict[str, str] = {"actor": recorded.actor}
    for name in ("agent_id", "plan_id", "task_id", "agent_type", "priority"):
        if isinstance(value := getattr(event, name, None), str):
            facts[name] = value
    if recorded.stream.startswith("exec_"):
        facts["execution_id"] = recorded.stream
        if (plan_id := plan_behind(recorded.stream)) is not None:
            facts.setdefault("plan_id", plan_id)
    elif recorded.stream.startswith("plan_"):
        facts["plan_id"] = recorded.stream
    if agent_type is not None and "agent_type" not in facts:
        facts["agent_type"] = agent_type
    facts["status"] = _status(event, recorded.type)
    if isinstance(event, AgentRegistered | AgentStatus):
        facts["agent_id"] = event.agent_id
    return facts


async def may_hear(
    subscription: Subscription, recorded: Recorded[Event], owner_of: OwnerOf
) -> bool:
    """Say whether an event is one that a subscriber may know of, as far as plans are concerned."""
    if subscription.plans_of is None:
        return True
    plan_id = facts_of(recorded, None).get("plan_id")
    if plan_id is not None:
        return await owner_of(plan_id) == subscription.plans_of
    is_said = isinstance(recorded.event, MessagePublished)
    return not is_said or recorded.actor == subscription.plans_of


def wanting(
    subscriptions: Iterable[Subscription], recorded: Recorded[Event], agent_type: str | None
) -> Sequence[Subscription]:
    """Return the subscriptions that an event is brought to."""
    return [
        subscription
        for subscription in subscriptions
        if subscription.state == "active" and subscription.matches(recorded, agent_type)
    ]


def _status(event: Event, type_: str) -> str:
    if isinstance(event, AgentStatus):
        return event.health
    return type_.rpartition(".")[2]
