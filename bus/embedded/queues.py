"""A queue: what waits, who reads, what becomes of what nobody takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from bus.embedded.backlog import Backlog
from bus.embedded.consumers import Readers
from bus.embedded.messages import NEVER, Entry

if TYPE_CHECKING:
    from asyncio import TimerHandle
    from collections.abc import Callable, Iterable, Sequence

    from bus.embedded.consumers import Consumer
    from bus.embedded.messages import Message
    from bus.embedded.settings import QueueSettings
    from bus.embedded.turn import Memory, Turn

_FRESH: Final = 0
_RETURNED: Final = 1  # the lane of what came back to a quorum queue: it leaves first


class House(Protocol):
    """What surrounds a queue."""

    turn: Turn
    memory: Memory

    def now(self) -> float:
        """Return when this turn began, in seconds of the event loop."""
        ...

    def at(self, when: float, act: Callable[[], None]) -> TimerHandle:
        """Begin a turn at a time of the event loop."""
        ...

    def bury(self, queue: Queue, message: Message, reason: str) -> None:
        """Dead-letter a message, if its queue says where to."""
        ...

    def drop(self, queue: Queue) -> None:
        """Delete a queue."""
        ...


class Queue:
    """One queue in memory."""

    def __init__(self, name: str, settings: QueueSettings, house: House, owner: object) -> None:
        self.name = name
        self.settings = settings
        self.owner = owner if settings.is_exclusive else None
        self.readers = Readers(only_one_active=settings.has_single_consumer)
        self.unacked = 0
        self.is_deleted = False
        lanes = 2 if settings.is_quorum else settings.max_priority + 1
        self._backlog = Backlog(lanes)
        self._house = house
        self._sequence = 0
        self._may_expire = settings.ttl < NEVER
        self._is_bounded = settings.max_length < NEVER or settings.max_bytes < NEVER
        self._drops = self._is_bounded and settings.overflow == "drop-head"
        self._expiry: TimerHandle | None = None
        self._farewell: TimerHandle | None = None
        self.touch()

    @property
    def ready(self) -> int:
        """How many messages wait."""
        return self._backlog.count

    def publish(self, message: Message, now: float) -> bool:
        """Take a message in; say whether the queue accepted it."""
        settings = self.settings
        if self._is_bounded and not self._drops and not self._has_space_for(message, now):
            if settings.overflow == "reject-publish-dlx":
                self._house.bury(self, message, "maxlen")
            return False
        lifetime = min(settings.ttl, message.lifetime)
        if lifetime < NEVER:
            self._may_expire = True
        lane = min(message.priority, settings.max_priority) if settings.max_priority else _FRESH
        self._sequence += 1
        self._backlog.append(Entry(message, self._sequence, now + lifetime, lane))
        self._house.memory.held += message.size
        self._house.turn.drain(self)
        return True

    def drain(self, now: float) -> None:
        """Deliver what somebody takes, then let go of what is too old or too much."""
        backlog = self._backlog
        if self._may_expire:
            self._expire(backlog.pop_expired(now, and_now=False))
        while backlog.count and (consumer := self.readers.next()) is not None:
            entry = backlog.pop()
            if consumer.is_unacknowledged:
                self._house.memory.held -= entry.message.size
            else:
                consumer.unacked += 1
                self.unacked += 1
            consumer.outlet.deliver(consumer, entry)
        if self._drops:
            while self._is_over():
                self._let_go(backlog.pop(), "maxlen")
        if self._may_expire:
            self._expire(backlog.pop_expired(now, and_now=True))
            self._plan_expiry()

    def take(self, *, acknowledged: bool) -> Entry | None:
        """Take the first message for a basic.get; None if there is none."""
        self.drain(self._house.now())
        self.touch()
        if not self._backlog.count:
            return None
        entry = self._backlog.pop()
        self._wake()
        if acknowledged:
            self.unacked += 1
        else:
            self._house.memory.held -= entry.message.size
        return entry

    def settle(self, entry: Entry) -> None:
        """Forget a message that was acknowledged."""
        self.unacked -= 1
        self._house.memory.held -= entry.message.size
        self._wake()

    def reject(self, entry: Entry) -> None:
        """Dead-letter a message that its consumer refused."""
        self.unacked -= 1
        self._let_go(entry, "rejected")
        self._wake()

    def requeue(self, entries: Sequence[Entry], *, is_asked: bool) -> None:
        """Take delivered messages back, on request of the consumer or because it was lost."""
        self.unacked -= len(entries)
        if self.is_deleted:
            for entry in entries:
                self._house.memory.held -= entry.message.size
        elif self.settings.is_quorum:
            self._return(entries, is_asked=is_asked)
        else:
            lanes: dict[int, list[Entry]] = {}
            for entry in entries:
                entry.is_redelivered = True
                lanes.setdefault(entry.lane, []).append(entry)
            for lane in lanes.values():
                self._backlog.restore(lane)
        self._wake()

    def subscribe(self, consumer: Consumer) -> None:
        """Let a consumer read."""
        self.readers.add(consumer)
        self.touch()
        self._wake()

    def unsubscribe(self, consumer: Consumer) -> None:
        """Let a consumer read no more; an auto-delete queue goes with its last one."""
        self.readers.remove(consumer)
        self.touch()
        self._wake()
        if self.settings.is_auto_delete and not self.readers.count and not self.is_deleted:
            self._house.drop(self)

    def purge(self) -> int:
        """Forget all that waits; return how many messages that were."""
        count = self._backlog.count
        for entry in self._backlog.clear():
            self._house.memory.held -= entry.message.size
        return count

    def close(self) -> int:
        """Forget everything and tell the consumers; return how many messages waited."""
        self.is_deleted = True
        for timer in (self._expiry, self._farewell):
            if timer is not None:
                timer.cancel()
        for consumer in list(self.readers):
            self.readers.remove(consumer)
            consumer.outlet.lose(consumer)
        return self.purge()

    def touch(self) -> None:
        """Note that the queue is in use, for its own expiry."""
        expires = self.settings.expires
        if expires is None or self.is_deleted:
            return
        if self._farewell is not None:
            self._farewell.cancel()
        self._farewell = self._house.at(self._house.now() + expires, self._leave)

    def _leave(self) -> None:
        self._farewell = None
        if not self.readers.count and not self.is_deleted:
            self._house.drop(self)

    def _wake(self) -> None:
        if self._backlog.count and not self.is_deleted:
            self._house.turn.drain(self)

    def _return(self, entries: Sequence[Entry], *, is_asked: bool) -> None:
        to_back = is_asked and self.settings.delivery_limit == NEVER
        for entry in entries:
            entry.returns += 1
            entry.is_redelivered = True
            if entry.returns > self.settings.delivery_limit:
                self._let_go(entry, "delivery_limit")
                continue
            entry.lane = _FRESH if to_back else _RETURNED
            self._backlog.append(entry)

    def _has_space_for(self, message: Message, now: float) -> bool:
        if self._would_be_over(message):
            self.drain(now)
            return not self._would_be_over(message)
        return True

    def _would_be_over(self, message: Message) -> bool:
        return (
            self._backlog.count + 1 > self.settings.max_length
            or self._backlog.body_bytes + len(message.body) > self.settings.max_bytes
        )

    def _is_over(self) -> bool:
        return (
            self._backlog.count > self.settings.max_length
            or self._backlog.body_bytes > self.settings.max_bytes
        )

    def _let_go(self, entry: Entry, reason: str) -> None:
        self._house.memory.held -= entry.message.size
        self._house.bury(self, entry.message, reason)

    def _expire(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._let_go(entry, "expired")

    def _plan_expiry(self) -> None:
        when = self._backlog.next_expiry()
        if self._expiry is not None:
            if self._expiry.when() == when:
                return
            self._expiry.cancel()
            self._expiry = None
        if when < NEVER:
            self._expiry = self._house.at(when, self._on_expiry)

    def _on_expiry(self) -> None:
        self._expiry = None
        self._house.turn.drain(self)
