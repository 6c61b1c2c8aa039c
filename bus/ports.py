"""What the loops of the protocol need of the world: small, so that a simulation can play it."""

from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

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


class Store(Protocol):
    """Keeps the log, stream by stream.

    Every method raises ``Unavailable`` when the database does not answer.
    """

    async def append(self, events: Sequence[Recorded[Event]]) -> Sequence[int]:
        """Append events of any streams in one transaction, and return their positions.

        Raises:
            StreamMoved: A version is taken already; nothing was appended.
        """
        ...

    async def load(self, stream: str) -> tuple[Any, int]:
        """Return the state of a stream and its version: (None, 0) when there is no such stream."""
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


class Positions(Protocol):
    """Remembers how far each follower of the log has come."""

    async def position_of(self, follower: str) -> int:
        """Return the position a follower has reached, 0 at first."""
        ...

    async def advance(self, follower: str, position: int) -> None:
        """Remember a later position; an earlier one is ignored."""
        ...


class Loop(Protocol):
    """Something that goes on until it is cancelled."""

    def run(self) -> Coroutine[Any, Any, None]:
        """Go on."""
        ...
