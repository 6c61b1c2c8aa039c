"""A store that counts what is asked of it, and lets a test do something just before an append."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bus.ports import Append, Store
from domain.policies import Event
from domain.recorded import Recorded


async def _nothing() -> None:
    pass


class WatchedStore:
    """Passes everything on to a real store."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.appends: list[int] = []
        """How many events each append had."""

        self.loads: list[str] = []
        self.reads: list[str] = []
        self.kept: list[tuple[str, int]] = []
        self.before_append: Callable[[], Awaitable[None]] = _nothing
        self.in_turn: Callable[[], Awaitable[None]] = _nothing
        """Done before an append whose turn it is."""

    async def append(self, events: Sequence[Recorded[Event]]) -> Sequence[int]:
        self.appends.append(len(events))
        await self.before_append()
        return await self._inner.append(events)

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[Append]:
        await self.before_append()  # nobody waits yet
        async with self._inner.turn() as append:

            async def watched(events: Sequence[Recorded[Event]]) -> Sequence[int]:
                self.appends.append(len(events))
                await self.in_turn()
                return await append(events)

            yield watched

    async def load(self, stream: str) -> tuple[Any, int]:
        self.loads.append(stream)
        return await self._inner.load(stream)

    async def read(self, stream: str, *, after: int = 0) -> Sequence[Recorded[Event]]:
        self.reads.append(stream)
        return await self._inner.read(stream, after=after)

    async def keep(self, stream: str, state: Any, version: int) -> None:
        self.kept.append((stream, version))
        await self._inner.keep(stream, state, version)
