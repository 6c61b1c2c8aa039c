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

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._events: list[Recorded[Event]] = []

    def add(self, events: Sequence[Recorded[Event]], positions: Sequence[int]) -> None:
        """Remember what was appended."""
        kept = self._events
        if not positions or positions[-1] - positions[0] != len(positions) - 1:
            kept.clear()
            return
        if kept and kept[-1].position + 1 != positions[0]:
            kept.clear()
        kept += [
            replace(event, position=position)
            for event, position in zip(events, positions, strict=True)
        ]
        if len(kept) > 2 * self._most:
            del kept[: -self._most]

    def after(self, position: int, limit: int) -> Sequence[Recorded[Event]]:
        """Return events after a position, none where only the database can tell."""
        if not self._events:
            return ()
        start = position + 1 - self._events[0].position
        if start < 0:
            return ()
        return self._events[start : start + limit]
