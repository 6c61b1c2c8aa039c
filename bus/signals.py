"""Signals: what is said often, believed for a moment and never recorded.

They travel on ``taskloom.signals`` without confirmation that anybody heard them.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias, cast

import structlog
from aio_pika import RobustConnection
from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.exceptions import AMQPError
from pydantic import Field, ValidationError

from bus.messages import Message
from bus.refusals import BadSchema, NotAnObject, Unreadable
from bus.strict_json import loads_strict
from bus.tolerance import validate_tolerantly
from bus.topology import SIGNALS
from domain.agent import Lifecycle
from domain.values import AgentId, AgentType, Epoch, Name, Role, RunId, TaskId, Text, Value

log = structlog.get_logger(__name__)

HEARTBEAT: Final = "agent.heartbeat"
ECHO: Final = "keeper.echo"
_LOOK_AGAIN = 5.0
_LOST = (AMQPError, OSError, RuntimeError, TimeoutError)

Share: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Load: TypeAlias = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Hear: TypeAlias = "Callable[[Heartbeat], None]"


class HeldTask(Value):
    """An attempt that an agent has, as far as it has come."""

    run_id: RunId
    task_id: TaskId
    epoch: Epoch
    progress: Share = 0.0
    state: Literal["waiting", "running"]


class Dependency(Value):
    """Something an agent needs and has stopped asking, because it does not answer."""

    name: Name
    state: Literal["open", "half_open"]
    reason: Text = ""


class Heartbeat(Value):
    """An agent lives, and this is what it has in hand: its leases are those it names."""

    type: Literal["agent.heartbeat"] = HEARTBEAT
    agent_id: AgentId
    agent_type: AgentType
    role: Role
    instance: Name
    lifecycle: Lifecycle
    load: Load
    """Running tasks as a share of those it would run at once."""

    at: datetime
    cpu: Load
    """Share of one processor since the last heartbeat; above 1 with several threads."""

    memory_bytes: Annotated[int, Field(ge=0, le=2**63 - 1)]
    tasks: tuple[HeldTask, ...] = ()
    completed: Annotated[int, Field(ge=0)] = 0
    failed: Annotated[int, Field(ge=0)] = 0
    faults: Annotated[int, Field(ge=0)] | None = None
    """How many of those that failed did so for no fault of their tasks."""

    busy_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """How long the attempts that have ended took, together."""

    interval: Annotated[float, Field(gt=0, le=3_600)] | None = None
    """Seconds until the next heartbeat."""

    dependencies: Annotated[tuple[Dependency, ...], Field(max_length=100)] = ()


def encode_heartbeat(heartbeat: Heartbeat, *, message_id: str) -> Message:
    """Return a heartbeat as it is published."""
    return Message(
        exchange=SIGNALS,
        key=HEARTBEAT,
        body=heartbeat.__pydantic_serializer__.to_json(heartbeat),
        message_id=message_id,
        type=HEARTBEAT,
        content_type="application/json",
        mandatory=False,
        is_persistent=False,
    )


def decode_heartbeat(raw: bytes) -> Heartbeat:
    """Return the heartbeat that a message holds; fields from a newer agent are passed over.

    Raises:
        Unreadable: It is none.
    """
    said = loads_strict(raw)
    if not isinstance(said, dict):
        raise NotAnObject("the heartbeat is JSON, but not an object")
    try:
        return validate_tolerantly(Heartbeat, said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        pointer = "".join(f"/{part}" for part in first["loc"])
        raise BadSchema(f"{pointer}: {first['msg']}") from error


async def listen(
    connection: RobustConnection, hear: Hear, *, echo: Callable[[bytes], None] | None = None
) -> None:
    """Hear every heartbeat from now on, until the connection is closed for good.

    ``echo`` hears what is said there only to know that one hears.

    The queue is exclusive and vanishes with the connection; whatever happens to it or to its
    binding, it is made again within seconds.
    """
    listener = _Listener(connection, hear, echo)
    with suppress(*_LOST):
        await listener.look_after()
    keeping = asyncio.create_task(listener.keep_listening(), name="signals")
    asyncio.ensure_future(connection.closed()).add_done_callback(lambda _: keeping.cancel())


class _Listener:
    def __init__(
        self, connection: RobustConnection, hear: Hear, echo: Callable[[bytes], None] | None
    ) -> None:
        self._connection = connection
        self._hear = hear
        self._echo = echo
        self._channel: AbstractChannel | None = None
        self._queue = ""
        self._disturbed = asyncio.Event()

    async def keep_listening(self) -> None:
        while True:
            # Not wait_for: in Python 3.11 it forgets a cancellation that comes with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN):
                    await self._disturbed.wait()
            self._disturbed.clear()
            try:
                await self.look_after()
            except _LOST as error:
                log.warning("signals.wait", why=str(error))
                await asyncio.sleep(0.2)
                self._disturbed.set()

    async def look_after(self) -> None:
        if self._channel is None or self._channel.is_closed:
            self._channel = await self._open()
        await self._channel.exchange_declare(SIGNALS, exchange_type="topic", durable=True)
        await self._channel.queue_bind(self._queue, SIGNALS, HEARTBEAT)
        if self._echo is not None:
            await self._channel.queue_bind(self._queue, SIGNALS, ECHO)

    async def _open(self) -> AbstractChannel:
        await self._connection.ready()
        transport = self._connection.transport
        if transport is None:
            raise ConnectionError("the connection is being made")
        channel: AbstractChannel = await transport.connection.channel()
        closing = cast("asyncio.Future[object]", channel.closing)  # pyright: ignore[reportUnknownMemberType] # a bare Future
        closing.add_done_callback(lambda _: self._disturbed.set())
        channel.on_consumer_cancel_callbacks.add(lambda _: self._start_over())
        declared = await channel.queue_declare(exclusive=True, auto_delete=True)
        self._queue = declared.queue or ""
        await channel.basic_consume(self._queue, self._arrive, no_ack=True)
        return channel

    def _start_over(self) -> None:
        self._channel = None
        self._disturbed.set()

    async def _arrive(self, message: DeliveredMessage) -> None:
        if message.routing_key == ECHO and self._echo is not None:
            self._echo(message.body)
            return
        try:
            heartbeat = decode_heartbeat(message.body)
        except Unreadable as refusal:
            log.warning("signals.unreadable", code=refusal.code, why=str(refusal))
            return
        self._hear(heartbeat)
