"""The relay: carries the log to the broker. What is recorded is published until it is confirmed.

An event goes to ``taskloom.events`` under its type; nobody has to listen. A dispatched task goes as
well to ``taskloom.work``, where a queue must take it, or to ``taskloom.retry`` when it has to wait:
by its policy, or because the breaker of its agent type is open. Ids are derived, so that what a
crash repeats is recognised.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog
from aiormq.exceptions import AMQPError

from bus.connect import reconnect_interval
from bus.envelope import encode_recorded, encode_reference
from bus.failpoints import reach
from bus.messages import Message, Outcome
from bus.orders import orders_of
from bus.ports import Sender
from bus.topology import EVENTS, RETRY, WORK, retry_key, work_key
from domain.policies import Event
from domain.recorded import Recorded, derived_id
from domain.run_events import TaskDispatched
from domain.values import AgentType, Role

log = structlog.get_logger(__name__)

LARGEST_EVENT: Final = 256 * 1024
"""Bytes; a larger event travels as a reference to itself."""

_PATIENCE: Final = 5
"""How often the broker may refuse a message before it is left, so that it does not hold up the log.

Events are left to subscribers that drain their queues, work to the lease keeper, which finds that
nobody has it."""

_LOST = (AMQPError, OSError, RuntimeError, TimeoutError)

DelayOf = Callable[[Role, AgentType], int]
"""Returns the seconds that new work for agents of a type has to wait at least."""

DeclareWork = Callable[[Role, AgentType], Awaitable[None]]
"""Makes the broker have the queues of an agent type."""


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

    async def __call__(self, events: Sequence[Recorded[Event]]) -> None:
        """Publish events and the work in them, and return when the broker has answered for all."""
        reach("relay.after_read")
        messages = [
            message for event in events for message in messages_of(event, delay=self._delay(event))
        ]
        await self._insist(messages, patience=_PATIENCE)

    async def publish_work(self, dispatched: Sequence[Recorded[Event]], *, delay: int = 0) -> None:
        """Publish work again that was lost with its queue, to wait for some seconds or none."""
        again = [
            work
            for event in dispatched
            for work in work_of(event, delay=self._delay(event, least=delay))
        ]
        await self._insist(again, patience=2)

    def _delay(self, recorded: Recorded[Event], *, least: int | None = None) -> int | None:
        event = recorded.event
        if not isinstance(event, TaskDispatched):
            return None
        wanted = event.delay if least is None else least
        return max(wanted, self._delay_of(event.role, event.agent))

    async def _insist(self, messages: Sequence[Message], *, patience: int) -> None:
        owed = messages
        refusals = 0
        while owed:
            outcomes = await self._sender.publish_all(owed)
            failed: list[tuple[Message, Outcome]] = [
                (message, outcome)
                for message, outcome in zip(owed, outcomes, strict=True)
                if outcome != "confirmed"
            ]
            owed = [message for message, _ in failed]
            if not owed:
                return
            refusals = 0 if any(outcome == "unknown" for _, outcome in failed) else refusals + 1
            if refusals == patience:
                keys = sorted({message.key for message in owed})
                log.error("relay.leaves", messages=len(owed), keys=keys[:10])
                return
            await self._make_way(failed)
            await asyncio.sleep(self._pause())

    async def _make_way(self, failed: Sequence[tuple[Message, Outcome]]) -> None:
        kinds = {_kind(message) for message, outcome in failed if outcome == "unroutable"}
        log.warning("relay.repeats", messages=len(failed), unroutable=sorted(kinds))
        for role, agent_type in sorted(kinds):
            try:
                await self._declare_work(role, agent_type)
            except _LOST as error:
                log.warning("relay.cannot_declare", role=role, agent=agent_type, why=str(error))


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


def _kind(message: Message) -> tuple[Role, AgentType]:
    role, agent_type, _ = message.key.split(".")[-3:]
    return ("planning" if role == "planning" else "execution"), agent_type.upper()
