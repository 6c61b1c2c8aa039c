"""A follower of the log: sees every event in order, at least once, and remembers how far it is."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from bus.failpoints import reach
from bus.ports import Log, Positions
from domain.errors import Unavailable
from domain.policies import Event
from domain.recorded import Recorded

log = structlog.get_logger(__name__)

_FIRST_PAUSE = 0.1

Hear = Callable[[Sequence[Recorded[Event]]], Awaitable[None]]
"""Does what a batch of events asks for; when it returns, the follower's position moves."""


class Follower:
    """Feeds the log to a function, batch by batch."""

    def __init__(
        self, name: str, hear: Hear, *, events: Log, positions: Positions, batch: int = 500
    ) -> None:
        self.name = name
        self._hear = hear
        self._log = events
        self._positions = positions
        self._batch = batch
        self._pause = _FIRST_PAUSE

    async def run(self) -> None:
        """Follow the log until cancelled; what is unavailable is tried again, a little later."""
        while True:
            try:
                await self._follow()
            except Unavailable as error:
                log.warning("follower.waits", follower=self.name, why=str(error))
                await asyncio.sleep(self._pause)
                self._pause = min(self._pause * 2, 2.0)

    async def _follow(self) -> None:
        position = await self._positions.position_of(self.name)
        while True:
            events = await self._log.read_all(after=position, limit=self._batch)
            if not events:
                # The wake-up is a courtesy: what it misses is found a second later.
                await self._log.wait(1.0)
                continue
            await self._hear(events)
            reach("follower.before_advance", self.name)
            position = events[-1].position
            await self._positions.advance(self.name, position)
            self._pause = _FIRST_PAUSE
