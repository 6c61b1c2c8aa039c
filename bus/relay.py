"""The relay: carries the log to the broker. What is recorded is published until it is confirmed.

An event goes to ``taskloom.events`` under its type; nobody has to listen. A dispatched task goes as
well to ``taskloom.work``, where a queue must take it, or to ``taskloom.retry`` when it has to wait:
by its policy, or because the breaker of its agent type is open. Ids are derived, so that what a
crash repeats is recognised.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final, TypeAlias, cast

import structlog
from aiormq.exceptions import AMQPError

from bus.connect import reconnect_interval
from bus.envelope import encode_recorded, encode_reference
from bus.failpoints import reach
from bus.messages import Message, Outcome
from bus.orders import orders_of
from bus.ports import Sender
from bus.topology import EVENTS, RETRY, WORK, retry_key, work_key
from domain.errors import Unavailable
from domain.leases import WorkKind
from domain.policies import Event
from domain.recorded import Recorded, derived_id
from domain.run_events import TaskDispatched
from domain.values import AgentType, Lane, Role

log = structlog.get_logger(__name__)

LARGEST_EVENT: Final = 256 * 1024
"""Bytes; a larger event travels as a reference to itself."""

_PATIENCE: Final = 5
"""How often the broker may refuse a message before it is left, so that it does not hold up the log.

Events are left to subscribers that drain their queues, work to the lease keeper, which finds that
nobody has it."""

_LOST = (AMQPError, OSError, RuntimeError, TimeoutError)

_Kind: TypeAlias = tuple[Role, AgentType]

DelayOf = Callable[[Role, AgentType], int]
"""Returns the seconds that new work for agents of a type has to wait at least."""

DeclareWork = Callable[[Role, AgentType], Awaitable[None]]
"""Makes the broker have the queues of an agent type; raises ``TooManyTypes`` where it must not."""


class TooManyTypes(Unavailable):
    """An agent type gets no queues from us: its work waits until an agent of it makes them."""

    code = "too-many-types"

    def __init__(self, role: Role, agent_type: AgentType, limit: int) -> None:
        super().__init__(
            f"{limit} types of agents that nobody else makes queues for have them already; work for"
            f" {agent_type} ({role}) waits until an agent of that type has made its own"
        )


def _at_once(_: Role, __: AgentType) -> int:
    return 0


class Relay:
    """Publishes batches of events."""

    def __init__(
        self,
        sender: Sender,
        declare_work: DeclareWork,
        *,
        delay_of: DelayOf = _at_once,
        pause: Callable[[], float] = reconnect_interval,
    ) -> None:
        self._sender = sender
        self._declare_work = declare_work
        self._delay_of = delay_of
        self._pause = pause
        self._with_queues: set[_Kind] = set()
        self._lacking: set[_Kind] = set()
        """Agent types that have no queues, as far as that was told already."""

        self._left: set[WorkKind] = set()
        """Kinds of work that the broker did not take."""

    async def __call__(self, events: Sequence[Recorded[Event]]) -> None:
        """Publish events and the work in them, and return when the broker has answered for all."""
        reach("relay.after_read")
        messages = [
            message for event in events for message in messages_of(event, delay=self._delay(event))
        ]
        await self._insist(messages, patience=_PATIENCE)

    async def publish_work(self, dispatched: Sequence[Recorded[Event]], *, delay: int = 0) -> bool:
        """Publish work again that was lost with its queue, to wait for some seconds or none.

        Returns whether the broker has taken all of it.
        """
        again = [
            work
            for event in dispatched
            for work in work_of(event, delay=self._delay(event, least=delay))
        ]
        return await self._insist(again, patience=2)

    def is_lacking(self, role: Role, agent_type: AgentType) -> bool:
        """Tell whether agents of a type have no queues, as far as is known."""
        return (role, agent_type) in self._lacking

    def take_left(self, kind: WorkKind) -> bool:
        """Tell, once, whether the broker did not take work of a kind: somebody has to look."""
        was_left = kind in self._left
        self._left.discard(kind)
        return was_left

    def _delay(self, recorded: Recorded[Event], *, least: int | None = None) -> int | None:
        event = recorded.event
        if not isinstance(event, TaskDispatched):
            return None
        wanted = event.delay if least is None else least
        return max(wanted, self._delay_of(event.role, event.agent))

    async def _insist(self, messages: Sequence[Message], *, patience: int) -> bool:
        """Publish until the broker has all that it will take; return whether that is everything."""
        owed = await self._with_a_way(messages)
        is_everything = len(owed) == len(messages)
        refusals = 0
        while owed:
            outcomes = await self._sender.publish_all(owed)
            failed: list[tuple[Message, Outcome]] = [
                (message, outcome)
                for message, outcome in zip(owed, outcomes, strict=True)
                if outcome != "confirmed"
            ]
            if not failed:
                break
            refusals = 0 if any(outcome == "unknown" for _, outcome in failed) else refusals + 1
            if refusals == patience:
                keys = sorted({message.key for message, _ in failed})
                log.error("relay.leaves", messages=len(failed), keys=keys[:10])
                self._left |= {_work_kind(m) for m, _ in failed if m.exchange in (WORK, RETRY)}
                return False
            owed = await self._make_way(failed)
            is_everything = is_everything and len(owed) == len(failed)
            if owed:
                await asyncio.sleep(self._pause())
        return is_everything

    async def _with_a_way(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Leave work that would wait to go to queues that are not there: it would stay in the way.

        A retry queue keeps what it cannot hand on, and hands on no more than so much at a time.
        """
        kinds = {_kind(message) for message in messages if message.exchange == RETRY}
        lacking = {
            kind for kind in sorted(kinds - self._with_queues) if not await self._have_queues(kind)
        }
        return self._without(lacking, messages, (RETRY,))

    async def _make_way(self, failed: Sequence[tuple[Message, Outcome]]) -> Sequence[Message]:
        """Make the queues that were lacking; return what is worth another attempt."""
        kinds = {_kind(message) for message, outcome in failed if outcome == "unroutable"}
        if not kinds or kinds - self._lacking:
            log.warning("relay.repeats", messages=len(failed), unroutable=sorted(kinds)[:10])
        lacking = {kind for kind in sorted(kinds) if not await self._have_queues(kind)}
        return self._without(lacking, [message for message, _ in failed], (WORK, RETRY))

    def _without(
        self, lacking: Collection[_Kind], messages: Sequence[Message], exchanges: Collection[str]
    ) -> Sequence[Message]:
        """Leave what goes to some exchanges for types that have no queues."""
        kept: list[Message] = []
        for message in messages:
            if message.exchange in exchanges and _kind(message) in lacking:
                self._left.add(_work_kind(message))
            else:
                kept.append(message)
        return kept

    async def _have_queues(self, kind: _Kind) -> bool:
        """Make the queues of an agent type, and return whether trying to use them makes sense."""
        role, agent_type = kind
        try:
            await self._declare_work(role, agent_type)
        except TooManyTypes as refusal:
            self._with_queues.discard(kind)
            if kind not in self._lacking:
                self._lacking.add(kind)
                log.warning("relay.no_queues", role=role, agent=agent_type, why=str(refusal))
            return False
        except (*_LOST, Unavailable) as error:
            log.warning("relay.cannot_declare", role=role, agent=agent_type, why=str(error))
        else:
            self._with_queues.add(kind)
            self._lacking.discard(kind)
        return True


def messages_of(recorded: Recorded[Event], *, delay: int | None = None) -> list[Message]:
    """Return what is published of one event; its work may have to wait for another ``delay``."""
    body = encode_recorded(recorded)
    shown = encode_reference(recorded) if len(body) > LARGEST_EVENT else body
    fact = Message(
        exchange=EVENTS,
        key=recorded.event.type,
        body=shown,
        message_id=recorded.id,
        type=recorded.event.type,
        mandatory=False,
    )
    return [fact, *work_of(recorded, body, delay=delay), *orders_of(recorded)]


def work_of(
    recorded: Recorded[Event], body: bytes | None = None, *, delay: int | None = None
) -> list[Message]:
    """Return the work that an event dispatches: its own body, on its way to an agent.

    It waits as long as the event says, or for another ``delay``.
    """
    event = recorded.event
    if not isinstance(event, TaskDispatched):
        return []
    if delay := event.delay if delay is None else delay:
        exchange, key = RETRY, retry_key(delay, event.role, event.agent, event.lane)
    else:
        exchange, key = WORK, work_key(event.role, event.agent, event.lane)
    return [
        Message(
            exchange=exchange,
            key=key,
            body=encode_recorded(recorded) if body is None else body,
            message_id=derived_id(recorded.id, "work"),
            type=event.type,
        )
    ]


def _kind(message: Message) -> _Kind:
    role, agent_type, _ = _work_kind(message)
    return role, agent_type


def _work_kind(message: Message) -> WorkKind:
    role, agent_type, lane = message.key.split(".")[-3:]
    is_planning = role == "planning"
    return "planning" if is_planning else "execution", agent_type.upper(), cast("Lane", lane)
