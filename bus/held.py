"""Reports that are held: they wait in a queue of their own until nobody else has to wait for them.

What an agent says beyond its share is moved there, with what proves who has said it. It is heard
as soon as there is nothing else to hear, and at the rate of one share in any case: nothing is lost
or refused for having been said too fast.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from pamqp.common import FieldValue

from bus.connect import reconnect_interval
from bus.dead_letters import REDRIVE, carried
from bus.heard import Heard
from bus.messages import Delivery, Message, Outcome
from bus.ports import Clock, Group, Sender, Source
from bus.senders import on_behalf
from bus.shares import Shares
from bus.topology import HELD

AT_ONCE: Final = 50
"""How many are heard together: others wait for no more of them."""

_LOOK_AGAIN: Final = 0.02


class Holding:
    """Moves what is beyond a share to where it is held."""

    def __init__(
        self, shares: Shares, sender: Sender, *, pause: Callable[[], float] = reconnect_interval
    ) -> None:
        self._shares = shares
        self._sender = sender
        self._pause = pause

    def begin(self, group: Sequence[Heard]) -> "Moving":
        """Begin to move some: the broker works at it while what else was said is recorded."""
        self._shares.hold_back(group)
        messages = [_message(heard.delivery) for heard in group if heard.is_held]
        return [(message, self._sender.send(message)) for message in messages]

    async def end(self, moving: "Moving") -> None:
        """Return when the broker has taken charge of every one."""
        while moving:
            outcomes = await asyncio.gather(*(outcome for _, outcome in moving))
            owed: list[Message] = [
                message
                for (message, _), outcome in zip(moving, outcomes, strict=True)
                if outcome != "confirmed"
            ]
            if owed:
                await asyncio.sleep(self._pause())
            moving = [(message, self._sender.send(message)) for message in owed]


Moving = Sequence[tuple[Message, asyncio.Future[Outcome]]]
"""Messages on their way to where they are held, and what becomes of each."""


class HeldReports:
    """The queue of what is held, read no faster than the others can bear."""

    def __init__(
        self, source: Source, clock: Clock, *, rate: float, is_idle: Callable[[], bool]
    ) -> None:
        """Take where held reports are; ``is_idle`` says whether there is nothing else to hear."""
        self._source = source
        self._clock = clock
        self._rate = rate
        self._is_idle = is_idle

    @property
    def queue(self) -> str:
        """The queue's name."""
        return self._source.queue

    async def groups(self, most: int) -> AsyncIterator[Group]:
        """Yield what is held, a little at a time, until cancelled."""
        async for group in self._source.groups(min(most, AT_ONCE)):
            yield group
            due = self._clock.now().timestamp() + len(group.deliveries) / self._rate
            while not self._is_idle() and self._clock.now().timestamp() < due:  # noqa: ASYNC110 # nobody tells that time has passed
                await asyncio.sleep(_LOOK_AGAIN)


def _message(delivery: Delivery) -> Message:
    said = delivery.properties
    headers: dict[str, FieldValue] = {**carried(said.headers), **on_behalf(said)}
    if isinstance(earlier := (said.headers or {}).get(REDRIVE), str):
        headers[REDRIVE] = earlier
    return Message(
        exchange=HELD,
        key=delivery.key,
        body=delivery.body,
        message_id=said.message_id or "",
        type=delivery.key,
        headers=headers,
        content_type=said.content_type or "",
        content_encoding=said.content_encoding,
    )
