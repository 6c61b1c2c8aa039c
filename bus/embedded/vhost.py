"""A virtual host: its exchanges and queues, and the way of a message between them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from bus.embedded.dead_letters import died, is_cycle
from bus.embedded.errors import ChannelRefused, no_exchange, no_queue
from bus.embedded.exchanges import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bus.embedded.exchanges import Binding, Destination
    from bus.embedded.messages import Message
    from bus.embedded.queues import Queue
    from bus.embedded.turn import Memory, Turn

REPLY_TO_NAME: Final = "amq.rabbitmq.reply-to"
_REPLY_TO_PREFIX: Final = f"{REPLY_TO_NAME}."
_MOST_ROUTES: Final = 10_000
_STANDARD: Final = (
    ("", "direct"),
    ("amq.direct", "direct"),
    ("amq.fanout", "fanout"),
    ("amq.topic", "topic"),
    ("amq.headers", "headers"),
    ("amq.match", "headers"),
)


class ReplyOutlet(Protocol):
    """A channel that waits for direct replies."""

    def deliver_reply(self, message: Message) -> None:
        """Write a reply."""
        ...


class VirtualHost:
    """One name space of exchanges and queues."""

    def __init__(self, name: str, turn: Turn, memory: Memory, settle: Callable[[], None]) -> None:
        self.name = name
        self.turn = turn
        self.memory = memory
        self.exchanges = {each: Exchange(each, kind, is_durable=True) for each, kind in _STANDARD}
        self.queues: dict[str, Queue] = {}
        self.replies: dict[str, ReplyOutlet] = {}
        self._settle = settle
        self._loop = asyncio.get_running_loop()
        self._routes: dict[tuple[str, str], tuple[Queue, ...]] = {}

    def now(self) -> float:
        """Return when this turn began, in seconds of the event loop."""
        return self.turn.now

    def at(self, when: float, act: Callable[[], None]) -> asyncio.TimerHandle:
        """Begin a turn at a time of the event loop."""

        def begin() -> None:
            # a loop may call a little early, and what is due must be seen to be due
            self.turn.begin(max(when, self._loop.time()))
            act()
            self._settle()

        return self._loop.call_at(when, begin)

    def exchange(self, name: str) -> Exchange:
        """Return an exchange.

        Raises:
            ChannelRefused: There is none of this name.
        """
        try:
            return self.exchanges[name]
        except KeyError:
            raise no_exchange(name, self.name) from None

    def queue(self, name: str) -> Queue:
        """Return a queue.

        Raises:
            ChannelRefused: There is none of this name.
        """
        try:
            return self.queues[name]
        except KeyError:
            raise no_queue(name, self.name) from None

    def publish(self, exchange: Exchange, message: Message) -> tuple[bool, bool]:
        """Put a message into all queues it is for; say whether there are any, and all took it."""
        if not exchange.name and message.routing_key.startswith(_REPLY_TO_PREFIX):
            outlet = self.replies.get(message.routing_key)
            if outlet is not None:
                outlet.deliver_reply(message)
            return outlet is not None, True
        queues = self.route(exchange, message)
        now = self.turn.now
        accepted = True
        for queue in queues:
            accepted = queue.publish(message, now) and accepted
        return bool(queues), accepted

    def route(self, exchange: Exchange, message: Message) -> Sequence[Queue]:
        """Return the queues that a message is for, each once."""
        if message.copies:
            return self._walk(exchange, message)[0]
        if not exchange.name:
            queue = self.queues.get(message.routing_key)
            return () if queue is None else (queue,)
        route = (exchange.name, message.routing_key)
        known = self._routes.get(route)
        if known is not None:
            return known
        queues, is_by_key = self._walk(exchange, message)
        if is_by_key:
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            self._routes[route] = queues
        return queues

    def add_exchange(self, exchange: Exchange) -> None:
        """Let an exchange exist."""
        self.exchanges[exchange.name] = exchange
        self._routes.clear()

    def add_queue(self, queue: Queue) -> None:
        """Let a queue exist."""
        self.queues[queue.name] = queue
        self._routes.clear()

    def bind(self, source: Exchange, binding: Binding) -> None:
        """Add a binding."""
        source.bind(binding)
        self._routes.clear()

    def unbind(self, source: Exchange, binding: Binding) -> None:
        """Take a binding out; an auto-delete exchange goes with its last one."""
        had_one = source.unbind(binding)
        self._routes.clear()
        if had_one:
            self._drop_if_unused(source)

    def drop(self, queue: Queue) -> None:
        """Delete a queue."""
        self.delete_queue(queue)

    def delete_queue(self, queue: Queue) -> int:
        """Delete a queue; return how many messages waited in it."""
        self.queues.pop(queue.name, None)
        self._forget((False, queue.name))
        return queue.close()

    def delete_exchange(self, exchange: Exchange) -> None:
        """Delete an exchange with all its bindings."""
        self.exchanges.pop(exchange.name, None)
        self._forget((True, exchange.name))

    def bury(self, queue: Queue, message: Message, reason: str) -> None:
        """Dead-letter a message, if its queue says where to; a missing exchange swallows it."""
        name = queue.settings.dead_letter_exchange
        exchange = self.exchanges.get(name) if name is not None else None
        if exchange is None:
            return
        dead = died(
            message,
            queue=queue.name,
            reason=reason,
            exchange=exchange.name,
            routing_key=queue.settings.dead_letter_key,
        )
        now = self.turn.now
        for target in self.route(exchange, dead):
            if reason == "rejected" or not is_cycle(dead, target.name):
                target.publish(dead, now)

    def _walk(self, start: Exchange, message: Message) -> tuple[tuple[Queue, ...], bool]:
        queues: dict[Queue, None] = {}
        seen = {start.name}
        todo = [start]
        is_by_key = True
        while todo:
            exchange = todo.pop()
            is_by_key = is_by_key and exchange.kind != "headers"
            destinations = self._matches(exchange, message)
            if not destinations and exchange.alternate is not None:
                destinations = {(True, exchange.alternate): None}
            for is_exchange, name in destinations:
                if not is_exchange:
                    if name in self.queues:
                        queues[self.queues[name]] = None
                elif name not in seen and name in self.exchanges:
                    seen.add(name)
                    todo.append(self.exchanges[name])
        return tuple(queues), is_by_key

    def _matches(self, exchange: Exchange, message: Message) -> dict[Destination, None]:
        if not exchange.name:
            return {(False, key): None for key in message.keys if key in self.queues}
        matches: dict[Destination, None] = {}
        for key in message.keys:
            matches.update(dict.fromkeys(exchange.match(message, key)))
        return matches

    def _forget(self, destination: Destination) -> None:
        self._routes.clear()
        for exchange in list(self.exchanges.values()):
            if exchange.forget(destination):
                self._drop_if_unused(exchange)

    def _drop_if_unused(self, exchange: Exchange) -> None:
        if exchange.is_auto_delete and not exchange.bindings:
            self.delete_exchange(exchange)


def check_name(kind: str, name: str) -> None:
    """Refuse to create what would take a reserved name.

    Raises:
        ChannelRefused: The name begins with `amq.`.
    """
    if name.startswith("amq."):
        raise ChannelRefused(403, f"{kind} name '{name}' contains reserved prefix 'amq.*'")
