"""Following a feed: first what is recorded, then what happens, without a gap between them."""

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from api.live.feeds import Feed, Page
from api.live.frames import Frame, heartbeat, resync
from api.live.hub import Ending, Hub, Watcher
from bus.ports import Clock

QUIET: Final = 15.0
"""Seconds without news after which a reader is told that there is none."""


class Following:
    """Where one reader is, and what it is told next."""

    def __init__(self, hub: Hub, feed: Feed, clock: Clock, *, quiet: float = QUIET) -> None:
        self._hub = hub
        self._feed = feed
        self._clock = clock
        self._quiet = quiet
        self._position = 0

    async def batches(self, after: int | None) -> AsyncGenerator[Sequence[Frame]]:
        """Tell everything after a position, or where things stand and what follows; for ever.

        Raises:
            Ending: The process ends.
            Unavailable: There is no place for another reader, or the database does not answer.
        """
        if after is not None:
            # At the reader's own pace, with nothing waiting for it meanwhile.
            self._position = after
            while True:
                page = await self._page(await self._feed.recorded(self._position))
                yield page.frames
                if page.is_last:
                    break
        async with self._hub.watching(self._feed.topic) as watcher:
            if after is None:
                yield (await self._page(await self._feed.latest(None))).frames
            while True:
                async for frames in self._up_to(watcher.since):
                    yield frames
                async for frames in self._live(watcher):
                    yield frames
                # It was too slow: what it has missed is told as where things stand now.
                was = self._position
                watcher.begin_anew(self._hub.position)
                yield [resync(was, self._hub.position, self._clock.now())]
                while True:
                    page = await self._page(await self._feed.latest(self._position))
                    yield page.frames
                    if page.is_last:
                        break

    async def _page(self, page: Page) -> Page:
        self._position = max(self._position, page.position)
        if self._hub.is_ending:
            raise Ending
        return page

    async def _up_to(self, position: int) -> AsyncGenerator[Sequence[Frame]]:
        """Tell what is recorded between where the reader is and where its watcher began."""
        while self._position < position:
            page = await self._page(await self._feed.recorded(self._position))
            yield page.frames
            if page.is_last:
                self._position = max(self._position, position)

    async def _live(self, watcher: Watcher) -> AsyncGenerator[Sequence[Frame]]:
        """Tell what happens, until it is too much."""
        while True:
            await watcher.wait(self._quiet)
            if self._hub.is_ending:
                raise Ending
            frames = watcher.take()
            if frames is None:
                return
            if not frames:
                self._position = max(self._position, self._hub.position)
                yield [heartbeat(self._position, self._clock.now())]
                continue
            news = [frame for frame in frames if not 0 < frame.position <= self._position]
            self._position = max([self._position, *(frame.position for frame in news)])
            yield news
