"""Every exchange and queue of the system as data, and the rules by which none can lose a message.

``declare`` makes the broker what the data says; repeating it changes nothing. The only queues that
are not here are those of the listeners to ``taskloom.signals``, of agents that hear requests
(``requests.py``), and of live subscribers to ``taskloom.events``: exclusive queues that vanish with
their connection, because what they miss they can read from a view, or nobody waits for it any more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aio_pika.abc import AbstractChannel

from bus.refusals import UnsafeTopology
from domain.tasks import WAITS
from domain.values import AgentType, Lane, Role

EVENTS = "taskloom.events"
REPORTS = "taskloom.reports"
HELD = "taskloom.held"
WORK = "taskloom.work"
RETRY = "taskloom.retry"
SIGNALS = "taskloom.signals"
DEAD = "taskloom.dead"
SUBSCRIBERS = "taskloom.subscribers"

LANES: tuple[Lane, ...] = ("critical", "high", "normal", "low")
PLANNING_TYPES: tuple[AgentType, ...] = ("META_PLANNER", "META", "CAD", "SIM", "COMP", "SUPP")
EXECUTION_TYPES: tuple[AgentType, ...] = ("META", "CAD", "SIM", "COMP", "SUPP", "NOOP")

_MANY = 1_000
"""How often work may come back: agents that are busy for long or stop give it back, which is not
its fault."""

_NO_LIMIT = 1_000_000
"""RabbitMQ 4 drops after 20 returns when nothing is said, and 3.10 has no word for never.

Reports come back by the hundred when their reader dies; which one it was is found otherwise."""

_DECLARE_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A durable topic exchange."""

    name: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue and what is bound to it."""

    name: str
    purpose: str
    source: str
    """The exchange it is bound to."""

    keys: tuple[str, ...]
    arguments: Mapping[str, str | int]
    durable: bool = True
    is_the_end: bool = False
    """Whether messages stay here until a person decides: only the dead letters do."""

    holds_back: bool = False
    """Whether messages wait here for a while and travel on by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """All there is on the broker."""

    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...] = field(default=())


EXCHANGES = (
    Exchange(name=EVENTS, purpose="recorded events, by their type; written by the relay only"),
    Exchange(name=REPORTS, purpose="what agents and other systems say happened, by its type"),
    Exchange(name=HELD, purpose="reports of agents that say more than their share, by their type"),
    Exchange(
        name=WORK,
        purpose="tasks for agents: `<role>.<type>.<lane>`; requests to one: `agent.#`",
    ),
    Exchange(name=RETRY, purpose="tasks that wait: `<n>s.<role>.<type>.<lane>`"),
    Exchange(name=SIGNALS, purpose="heartbeats, progress and broadcasts; missing one is harmless"),
    Exchange(name=SUBSCRIBERS, purpose="events for who subscribes, by the subscription's id"),
    Exchange(name=DEAD, purpose="what nobody could accept, under its original key"),
)


def work_key(role: Role, agent_type: AgentType, lane: Lane) -> str:
    """Return the routing key of work on ``taskloom.work``."""
    return f"{role}.{agent_type.lower()}.{lane}"


def retry_key(delay: int, role: Role, agent_type: AgentType, lane: Lane) -> str:
    """Return the routing key on ``taskloom.retry`` of work that waits that many seconds.

    Raises:
        ValueError: No queue waits exactly as long.
    """
    if delay not in WAITS:
        raise ValueError(f"no queue waits {delay} s; there are {WAITS}")
    return f"{delay}s.{work_key(role, agent_type, lane)}"


def work_queues(role: Role, agent_type: AgentType) -> tuple[Queue, ...]:
    """Return the queues that agents of a type take work from, the more urgent first."""
    return tuple(
        Queue(
            name=f"{WORK}.{work_key(role, agent_type, lane)}",
            purpose=f"{lane} work for {role} agents of type {agent_type}",
            source=WORK,
            keys=(f"#.{work_key(role, agent_type, lane)}",),  # # takes the delay of a retry
            arguments=_quorum(dead_letters_to=DEAD, limit=_MANY),
        )
        for lane in LANES
    )


def topology(
    *,
    planning: Iterable[AgentType] = PLANNING_TYPES,
    execution: Iterable[AgentType] = EXECUTION_TYPES,
) -> Topology:
    """Return everything that the system needs for agents of these types."""
    return Topology(
        exchanges=EXCHANGES,
        queues=(
            Queue(
                name=REPORTS,
                purpose="reports on their way to the recorder",
                source=REPORTS,
                keys=("#",),
                arguments=_quorum(dead_letters_to=DEAD, limit=_NO_LIMIT),
            ),
            Queue(
                name=HELD,
                purpose="reports that wait until others have had their say",
                source=HELD,
                keys=("#",),
                arguments=_quorum(dead_letters_to=DEAD, limit=_NO_LIMIT),
            ),
            Queue(
                name=DEAD,
                purpose="dead letters, kept with their reason until somebody decides",
                source=DEAD,
                keys=("#",),
                arguments={"x-queue-type": "quorum", "x-delivery-limit": _NO_LIMIT},
                is_the_end=True,
            ),
            *(_retry_queue(delay) for delay in WAITS),
            *(queue for kind in planning for queue in work_queues("planning", kind)),
            *(queue for kind in execution for queue in work_queues("execution", kind)),
        ),
    )


def check(topology: Topology) -> None:
    """Refuse a topology in which a message could get lost without a trace.

    Raises:
        UnsafeTopology: One could; the message says where and why.
    """
    exchanges = {exchange.name for exchange in topology.exchanges}
    for queue in topology.queues:
        for flaw in _flaws(queue, exchanges):
            raise UnsafeTopology(f"queue {queue.name} {flaw}")


async def declare(channel: AbstractChannel, topology: Topology) -> None:
    """Make the broker have everything of a topology.

    Raises:
        UnsafeTopology: Some queue could lose a message.
    """
    check(topology)
    for exchange in topology.exchanges:
        await channel.declare_exchange(
            exchange.name, "topic", durable=True, timeout=_DECLARE_TIMEOUT
        )
    for queue in topology.queues:
        declared = await channel.declare_queue(
            queue.name,
            durable=queue.durable,
            arguments=dict(queue.arguments),
            timeout=_DECLARE_TIMEOUT,
        )
        for key in queue.keys:
            await declared.bind(queue.source, routing_key=key, timeout=_DECLARE_TIMEOUT)


async def declare_work(channel: AbstractChannel, role: Role, agent_type: AgentType) -> None:
    """Make the broker have what agents of one type need, so that they can start before the rest."""
    await declare(channel, work_topology(role, agent_type))


def work_topology(role: Role, agent_type: AgentType) -> Topology:
    """Return what agents of one type take work from, and where their reports and the dead go."""
    shared = topology(planning=(), execution=())
    return Topology(
        exchanges=shared.exchanges, queues=(*shared.queues, *work_queues(role, agent_type))
    )


def _retry_queue(delay: int) -> Queue:
    return Queue(
        name=f"{RETRY}.{delay}s",
        purpose=f"work that waits {delay} s before its next attempt",
        source=RETRY,
        keys=(f"{delay}s.#",),
        arguments={
            **_quorum(dead_letters_to=WORK, limit=_NO_LIMIT),
            "x-message-ttl": delay * 1000,
        },
        holds_back=True,
    )


def _quorum(*, dead_letters_to: str, limit: int) -> dict[str, str | int]:
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": limit,
        "x-dead-letter-exchange": dead_letters_to,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",  # at-least-once needs it
    }


def _flaws(queue: Queue, exchanges: set[str]) -> Iterable[str]:
    arguments = queue.arguments
    if not queue.durable or arguments.get("x-queue-type") != "quorum":
        yield "would not survive its broker: it has to be durable, of type quorum"
    if "x-delivery-limit" not in arguments:
        yield "has no x-delivery-limit: from RabbitMQ 4 on, 20 returns drop a message"
    if queue.source not in exchanges or not queue.keys:
        yield f"is bound to {queue.source}, which nobody declares, or to no key of it"
    if queue.holds_back and not arguments.get("x-message-ttl"):
        yield "holds messages back without an x-message-ttl: they would stay for ever"
    if not queue.holds_back and "x-message-ttl" in arguments:
        yield "has an x-message-ttl: messages would leave it unread"
    if queue.is_the_end:
        if limits := {"x-max-length", "x-max-length-bytes", "x-expires"} & arguments.keys():
            yield f"is the end of the line and has an {min(limits)}: it would drop messages"
        return
    target = arguments.get("x-dead-letter-exchange")
    if target not in exchanges:
        yield f"dead-letters to {target}, which nobody declares"
    if arguments.get("x-dead-letter-strategy") != "at-least-once":
        yield "dead-letters at most once: the strategy has to be at-least-once"
    if arguments.get("x-overflow") != "reject-publish":
        yield "drops its oldest message when it is full: x-overflow has to be reject-publish"
    if "x-expires" in arguments:
        yield "has an x-expires: it would vanish with its messages"
