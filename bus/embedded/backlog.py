"""The messages that wait in a queue, in the order in which they leave."""

from __future__ import annotations

from collections import deque
from heapq import merge
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bus.embedded.messages import Entry

_FEW = 16  # entries: what comes back is near the head, where a deque is quick
_sequence = attrgetter("sequence")


class Backlog:
    """Lanes of waiting entries; a higher lane leaves first."""

    def __init__(self, lanes: int) -> None:
        self._lanes: list[deque[Entry]] = [deque() for _ in range(lanes)]
        self._highest_first = self._lanes[::-1]
        self.count = 0
        self.body_bytes = 0

    def __iter__(self) -> Iterator[Entry]:
        for lane in self._highest_first:
            yield from lane

    def append(self, entry: Entry) -> None:
        """Put an entry at the end of its lane."""
        self._lanes[entry.lane].append(entry)
        self.count += 1
        self.body_bytes += len(entry.message.body)

    def restore(self, entries: Sequence[Entry]) -> None:
        """Put entries of one lane back to where they were."""
        ordered = sorted(entries, key=_sequence)
        lane = self._lanes[ordered[0].lane]
        if not lane or ordered[-1].sequence < lane[0].sequence:
            lane.extendleft(reversed(ordered))
        elif len(ordered) <= _FEW:
            at = 0
            for entry in ordered:
                while at < len(lane) and lane[at].sequence < entry.sequence:
                    at += 1
                lane.insert(at, entry)
        else:
            merged = list(merge(ordered, lane, key=_sequence))
            lane.clear()
            lane.extend(merged)
        self.count += len(ordered)
        self.body_bytes += sum(len(entry.message.body) for entry in ordered)

    def pop(self) -> Entry:
        """Take the first entry out."""
        for lane in self._highest_first:
            if lane:
                return self._taken(lane.popleft())
        raise LookupError("the backlog is empty")

    def pop_expired(self, now: float, *, and_now: bool) -> Iterator[Entry]:
        """Take out what expired at the head of a lane; `and_now` counts this very moment."""
        for lane in self._highest_first:
            while lane and (lane[0].expires_at < now or (and_now and lane[0].expires_at == now)):
                yield self._taken(lane.popleft())

    def next_expiry(self) -> float:
        """Return when the next head expires."""
        return min(lane[0].expires_at if lane else float("inf") for lane in self._lanes)

    def clear(self) -> Iterable[Entry]:
        """Take everything out."""
        entries = list(self)
        for lane in self._lanes:
            lane.clear()
        self.count = self.body_bytes = 0
        return entries

    def _taken(self, entry: Entry) -> Entry:
        self.count -= 1
        self.body_bytes -= len(entry.message.body)
        return entry
