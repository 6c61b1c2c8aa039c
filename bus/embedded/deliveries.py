"""What a channel has delivered and its client has not yet acknowledged."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from bus.embedded.errors import ChannelRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bus.embedded.consumers import Consumer
    from bus.embedded.messages import Entry
    from bus.embedded.queues import Queue


@dataclass(slots=True, eq=False)
class Delivery:
    """A message on its way, under a delivery tag."""

    entry: Entry
    queue: Queue
    consumer: Consumer | None  # None after a basic.get


class Deliveries:
    """The unacknowledged deliveries of a channel, in the order of their tags."""

    def __init__(self) -> None:
        self.limit = 0  # of the whole channel; 0 is none
        self._tag = 0
        self._open: dict[int, Delivery] = {}

    def has_room(self) -> bool:
        """Say whether the limit of the channel allows one more."""
        return not self.limit or len(self._open) < self.limit

    def next_tag(self) -> int:
        """Use up a delivery tag."""
        self._tag += 1
        return self._tag

    def add(self, entry: Entry, queue: Queue, consumer: Consumer | None) -> int:
        """Return the tag of a new delivery, remembered if it has to be acknowledged."""
        self._tag += 1
        if consumer is None or not consumer.is_unacknowledged:
            self._open[self._tag] = Delivery(entry, queue, consumer)
        return self._tag

    def take(self, tag: int, *, multiple: bool) -> Sequence[Delivery]:
        """Take out the delivery with a tag, or all up to it; all, if the tag is 0.

        Raises:
            ChannelRefused: There is no such delivery.
        """
        if multiple and not tag:
            return self.take_all()
        if tag not in self._open:
            raise ChannelRefused(406, f"unknown delivery tag {tag}")
        if not multiple:
            return self._freed([self._open.pop(tag)])
        tags = list(takewhile(lambda each: each <= tag, self._open))
        return self._freed([self._open.pop(each) for each in tags])

    def take_all(self) -> Sequence[Delivery]:
        """Take out all deliveries."""
        taken = list(self._open.values())
        self._open.clear()
        return self._freed(taken)

    def _freed(self, taken: Sequence[Delivery]) -> Sequence[Delivery]:
        for delivery in taken:
            if delivery.consumer is not None:
                delivery.consumer.unacked -= 1
        return taken

    @staticmethod
    def by_queue(deliveries: Iterable[Delivery]) -> dict[Queue, list[Entry]]:
        """Sort deliveries by the queue they came from, in their order."""
        queues: dict[Queue, list[Entry]] = {}
        for delivery in deliveries:
            queues.setdefault(delivery.queue, []).append(delivery.entry)
        return queues
