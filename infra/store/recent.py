"""What this process appended last: its followers need not ask the database for it."""

from collections.abc import Sequence
from dataclasses import replace

from domain.policies import Event
from domain.recorded import Recorded


class RecentEvents:
    """The end of the log as far as this process wrote it without interruption.

    Positions are drawn under the lock that orders all appends. So events whose positions follow
    one another are all there are between them; a gap may be somebody else's event, and what was
    kept before it is dropped.
    """

    def __init__(self, most: int = 10_000, *, most_bytes: int = 32 * 1024 * 1024) -> None:
        """Keep so many events, and so many bytes as they are stored; up to twice of both."""
        self._most = most
        self._most_bytes = most_bytes
        self._events: list[Recorded[Event]] = []
        self._sizes: list[int] = []
        self._bytes = 0

    def add(
        self, events: Sequence[Recorded[Event]], positions: Sequence[int], sizes: Sequence[int]
    ) -> None:
        """Remember what was appended; ``sizes`` are the bytes of each."""
        if not positions or positions[-1] - positions[0] != len(positions) - 1:
            self._drop(len(self._events))
            return
        if self._events and self._events[-1].position + 1 != positions[0]:
            self._drop(len(self._events))
        self._events += [
            replace(event, position=position)
            for event, position in zip(events, positions, strict=True)
        ]
        self._sizes += sizes
        self._bytes += sum(sizes)
        if len(self._events) > 2 * self._most or self._bytes > 2 * self._most_bytes:
            self._shorten()

    def after(self, position: int, limit: int) -> Sequence[Recorded[Event]]:
        """Return events after a position, none where only the database can tell."""
        if not self._events:
            return ()
        start = position + 1 - self._events[0].position
        if start < 0:
            return ()
        return self._events[start : start + limit]

    def clear(self) -> None:
        """Remember nothing."""
        self._drop(len(self._events))

    def _shorten(self) -> None:
        count = max(0, len(self._events) - self._most)
        left = self._bytes - sum(self._sizes[:count])
        while left > self._most_bytes:
            left -= self._sizes[count]
            count += 1
        self._drop(count)

    def _drop(self, count: int) -> None:
        self._bytes -= sum(self._sizes[:count])
        del self._events[:count]
        del self._sizes[:count]
