"""What the loops of the protocol need of the world: small, so that a simulation can play it."""

from asyncio import Future
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

from bus.messages import Delivery, Message, Outcome
from domain.policies import Event
from domain.recorded import Recorded


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)


class StreamMoved(Exception):  # it is an answer of the store, not a failure
    """Somebody else appended to one of the streams first, or our own commit was lost on its way."""


Append: TypeAlias = Callable[[Sequence[Recorded[Event]]], Awaitable[Sequence[int]]]
"""Appends events, as ``Store.append`` does."""


class Streams(Protocol):
    """What is recorded of each stream."""

    async def load(self, stream: str) -> tuple[Any, int]:
        """Return the state of a stream and its version: (None, 0) when there is no such stream.

        Raises:
            Unavailable: The database does not answer.
        """
        ...


class Store(Streams, Protocol):
    """Keeps the log, stream by stream.

    Every method raises ``Unavailable`` when the database does not answer.
    """

    async def append(self, events: Sequence[Recorded[Event]]) -> Sequence[int]:
        """Append events of any streams in one transaction, and return their positions.

        Raises:
            StreamMoved: A version is taken already; nothing was appended.
        """
        ...

    def turn(self) -> AbstractAsyncContextManager[Append]:
        """Keep all others from appending, and give what appends meanwhile."""
        ...

    async def read(self, stream: str, *, after: int = 0) -> Sequence[Recorded[Event]]:
        """Return a stream's events after a version."""
        ...

    async def keep(self, stream: str, state: Any, version: int) -> None:
        """Keep a snapshot of a stream."""
        ...


class Log(Protocol):
    """Reads all events in the order of their positions."""

    async def read_all(self, *, after: int, limit: int) -> Sequence[Recorded[Event]]:
        """Return at most ``limit`` events after a position."""
        ...

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 # the wait is bounded, not failed
        """Return when something may have been appended, or after that many seconds."""
        ...


class Excerpts(Protocol):
    """Reads what one reader is interested in, without all that lies between.

    Every method raises ``Unavailable`` when the database does not answer.
    """

    async def read_stream(
        self, stream: str, *, after: int, limit: int
    ) -> Sequence[Recorded[Event]]:
        """Return at most ``limit`` events of a stream after a position."""
        ...

    async def read_types(
        self, types: Collection[str], *, after: int, up_to: int
    ) -> Sequence[Recorded[Event]]:
        """Return the events of some types after a position, up to another one."""
        ...


class Positions(Protocol):
    """Remembers how far each follower of the log has come."""

    async def position_of(self, follower: str) -> int:
        """Return the position a follower has reached, 0 at first."""
        ...

    async def advance(self, follower: str, position: int) -> None:
        """Remember a later position; an earlier one is ignored."""
        ...


class Parking(Protocol):
    """Remembers events that a follower cannot read and has passed over."""

    async def park(self, follower: str, position: int, *, stream: str, why: str) -> None:
        """Note that a follower has passed over an event."""
        ...

    async def parked(self, follower: str) -> Sequence[int]:
        """Return the positions that a follower has passed over, the first of them first."""
        ...

    async def release(self, follower: str, position: int) -> None:
        """Forget an event that a follower has heard after all."""
        ...


class Sender(Protocol):
    """Publishes messages, and learns what becomes of each."""

    def send(self, message: Message) -> Future[Outcome]:
        """Publish a message with others, and return where its outcome will appear."""
        ...

    async def publish_all(self, messages: Iterable[Message]) -> Sequence[Outcome]:
        """Publish messages in their order, and return what became of each."""
        ...


class Group(Protocol):
    """Deliveries that are answered together."""

    @property
    def deliveries(self) -> Sequence[Delivery]:
        """What was delivered, in order: all of it for the first time, or all of it again."""
        ...

    def part(self, start: int, end: int) -> "Group":
        """Return some deliveries as a group of their own; parts are answered in their order."""
        ...

    async def ack(self) -> None:
        """Acknowledge these deliveries and every one before them."""
        ...


class Source(Protocol):
    """A queue that is read in groups."""

    @property
    def queue(self) -> str:
        """The queue's name."""
        ...

    def groups(self, most: int) -> AsyncIterator[Group]:
        """Yield what has arrived, at most that many at a time, until cancelled."""
        ...


class Taken(Protocol):
    """A delivery in an agent's hand."""

    @property
    def body(self) -> bytes:
        """What it says."""
        ...

    @property
    def exchange(self) -> str:
        """Where it was published to."""
        ...

    @property
    def key(self) -> str:
        """The routing key it was published with."""
        ...

    @property
    def tag(self) -> int:
        """Its number on its channel."""
        ...

    @property
    def message_id(self) -> str | None:
        """The id that its sender gave it."""
        ...

    @property
    def headers(self) -> Mapping[str, object]:
        """What else its sender said of it."""
        ...

    def ack(self) -> None:
        """Acknowledge it soon; on a channel that is gone the broker delivers it again."""
        ...

    async def give_back(self) -> None:
        """Put it back into its queue, for whoever has a place for it."""
        ...


class Loop(Protocol):
    """Something that goes on until it is cancelled."""

    def run(self) -> Coroutine[Any, Any, None]:
        """Go on."""
        ...
