"""What is finished before the event loop turns: queues to drain, connections to write to.

A turn begins with bytes from a client or with a timer. Whatever it wakes is collected here and
settled once, so that a hundred messages of one read leave in one write.
"""

from __future__ import annotations

from typing import Protocol


class Drainable(Protocol):
    """A queue that may have something to deliver."""

    def drain(self, now: float) -> None:
        """Deliver and expire what can be."""
        ...


class Flushable(Protocol):
    """A connection with unsent frames."""

    def flush(self) -> None:
        """Hand the unsent frames to the transport."""
        ...


class Turn:
    """The open work of this turn of the event loop."""

    def __init__(self) -> None:
        self.now = 0.0  # of the event loop, in seconds; it stands still during a turn
        self._queues: dict[Drainable, None] = {}
        self._connections: dict[Flushable, None] = {}

    def begin(self, now: float) -> None:
        """Begin a turn."""
        self.now = now

    def drain(self, queue: Drainable) -> None:
        """Note that a queue may have something to deliver."""
        self._queues[queue] = None

    def flush(self, connection: Flushable) -> None:
        """Note that a connection has unsent frames."""
        self._connections[connection] = None

    def settle(self) -> None:
        """Finish all open work; what it causes meanwhile is finished too."""
        while self._queues or self._connections:
            while self._queues:
                queue = next(iter(self._queues))
                del self._queues[queue]
                queue.drain(self.now)
            connections = list(self._connections)
            self._connections.clear()
            for connection in connections:
                connection.flush()


class Memory:
    """How many bytes all queues hold, and whether that is too much."""

    def __init__(self, high: int) -> None:
        self.high = high
        self.low = high * 4 // 5
        self.held = 0

    @property
    def is_full(self) -> bool:
        """Whether publishers have to wait."""
        return self.held > self.high

    @property
    def has_room(self) -> bool:
        """Whether publishers that wait may go on."""
        return self.held <= self.low
