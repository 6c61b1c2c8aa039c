"""Who reads from a queue, and whose turn it is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.embedded.messages import Entry
    from bus.embedded.queues import Queue


class Outlet(Protocol):
    """The channel that a consumer sits on."""

    def can_take(self) -> bool:
        """Say whether one more delivery may be written."""
        ...

    def deliver(self, consumer: Consumer, entry: Entry) -> None:
        """Write a delivery."""
        ...

    def lose(self, consumer: Consumer) -> None:
        """Tell the client that its consumer's queue is gone."""
        ...


@dataclass(slots=True, eq=False, kw_only=True)
class Consumer:
    """One subscription of one channel to one queue."""

    tag: str
    queue: Queue
    outlet: Outlet
    prefix: bytes
    is_unacknowledged: bool
    is_exclusive: bool
    priority: int
    prefetch: int
    unacked: int = 0

    def has_room(self) -> bool:
        """Say whether it may be given one more message."""
        return (not self.prefetch or self.unacked < self.prefetch) and self.outlet.can_take()


class Readers:
    """The consumers of a queue: higher priority first, equals in turn."""

    def __init__(self, *, only_one_active: bool) -> None:
        self._only_one_active = only_one_active
        self._active: Consumer | None = None
        self._ranks: dict[int, deque[Consumer]] = {}
        self._order: list[deque[Consumer]] = []
        self.count = 0

    def __iter__(self) -> Iterator[Consumer]:
        for rank in self._order:
            yield from rank

    def add(self, consumer: Consumer) -> None:
        """Let one more consumer read."""
        self._ranks.setdefault(consumer.priority, deque()).append(consumer)
        self._sort()
        if self._active is None:
            self._active = consumer

    def remove(self, consumer: Consumer) -> None:
        """Let a consumer read no more; another becomes the single active one."""
        rank = self._ranks[consumer.priority]
        rank.remove(consumer)
        if not rank:
            del self._ranks[consumer.priority]
        self._sort()
        if self._active is consumer:
            self._active = next(iter(self), None)

    def next(self) -> Consumer | None:
        """Return the consumer whose turn it is, None if nobody has room."""
        if self._only_one_active:
            active = self._active
            return active if active is not None and active.has_room() else None
        for rank in self._order:
            for _ in range(len(rank)):
                consumer = rank[0]
                rank.rotate(-1)
                if consumer.has_room():
                    return consumer
        return None

    def _sort(self) -> None:
        self._order = [self._ranks[priority] for priority in sorted(self._ranks, reverse=True)]
        self.count = sum(map(len, self._order))
