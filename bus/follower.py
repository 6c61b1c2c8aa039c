"""A follower of the log: sees every event in order, at least once, and remembers how far it is."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from bus.failpoints import reach
from bus.ports import Log, Parking, Positions
from domain.errors import Unavailable, UnreadableStream
from domain.policies import Event
from domain.recorded import Recorded

log = structlog.get_logger(__name__)

_FIRST_PAUSE = 0.1

Hear = Callable[[Sequence[Recorded[Event]]], Awaitable[None]]
"""Does what a batch of events asks for; when it returns, the follower's position moves."""


class Follower:
    """Feeds the log to a function, batch by batch."""

    def __init__(
        self,
        name: str,
        hear: Hear,
        *,
        events: Log,
        positions: Positions,
        parking: Parking | None = None,
        batch: int = 500,
    ) -> None:
        """Take what to follow; without a place to park it stops before what it cannot read."""
        self.name = name
        self._hear = hear
        self._log = events
        self._positions = positions
        self._parking = parking
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
        if self._parking is not None:
            await self._hear_parked(self._parking)
        position = await self._positions.position_of(self.name)
        while True:
            try:
                events = await self._read(position)
            except UnreadableStream as error:
                if self._parking is None or error.position <= position:
                    raise
                await self._park(self._parking, error)
                position = error.position
                continue
            if not events:
                # The wake-up is a courtesy: what it misses is found a second later.
                await self._log.wait(1.0)
                continue
            await self._hear(events)
            reach("follower.before_advance", self.name)
            position = events[-1].position
            await self._positions.advance(self.name, position)
            self._pause = _FIRST_PAUSE

    async def _read(self, after: int) -> Sequence[Recorded[Event]]:
        """Return the next events; before one that cannot be read, some that come first.

        Raises:
            UnreadableStream: The next one cannot be read. A newer version may have written it.
        """
        limit = self._batch
        while True:
            try:
                return await self._log.read_all(after=after, limit=limit)
            except UnreadableStream:
                if limit == 1:
                    raise
                limit //= 2

    async def _park(self, parking: Parking, error: UnreadableStream) -> None:
        """Pass over an event: the streams of others must not wait for it."""
        log.error("follower.parks", follower=self.name, position=error.position, why=str(error))
        await parking.park(self.name, error.position, stream=error.stream, why=str(error))
        await self._positions.advance(self.name, error.position)

    async def _hear_parked(self, parking: Parking) -> None:
        """Hear what was passed over, as far as it can be read by now."""
        for position in await parking.parked(self.name):
            try:
                events = await self._log.read_all(after=position - 1, limit=1)
            except UnreadableStream:
                continue
            await self._hear([event for event in events if event.position == position])
            await parking.release(self.name, position)
