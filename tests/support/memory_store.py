"""The store in memory, for loops that do not care where the log is kept."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import reduce
from typing import Any

from bus.ports import Append, StreamMoved
from domain.deciders import decider_of
from domain.policies import Event
from domain.recorded import Recorded


class MemoryStore:
    """Keeps the log in a list: a store, a log and the followers' positions."""

    def __init__(self) -> None:
        self.events: list[Recorded[Event]] = []
        self.positions: dict[str, int] = {}
        self.snapshots: dict[str, tuple[Any, int]] = {}
        self._appended = asyncio.Event()

    async def append(self, events: Sequence[Recorded[Event]]) -> Sequence[int]:
        await asyncio.sleep(0)
        taken = {(past.stream, past.version) for past in self.events}
        if taken & {(event.stream, event.version) for event in events}:
            raise StreamMoved
        first = len(self.events) + 1
        positions = list(range(first, first + len(events)))
        self.events += [replace(e, position=p) for e, p in zip(events, positions, strict=True)]
        self._appended.set()
        return positions

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[Append]:
        yield self.append

    async def load(self, stream: str) -> tuple[Any, int]:
        decider = decider_of(stream)
        state, version = self.snapshots.get(stream, (None, 0))
        tail = await self.read(stream, after=version)
        return reduce(decider.evolve, (e.event for e in tail), state), version + len(tail)

    async def read(self, stream: str, *, after: int = 0) -> Sequence[Recorded[Event]]:
        await asyncio.sleep(0)
        return [e for e in self.events if e.stream == stream and e.version > after]

    async def read_all(self, *, after: int, limit: int) -> Sequence[Recorded[Event]]:
        self._appended.clear()
        await asyncio.sleep(0)
        return self.events[after : after + limit]

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 # as the port has it
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._appended.wait()

    async def keep(self, stream: str, state: Any, version: int) -> None:
        await asyncio.sleep(0)
        self.snapshots[stream] = (state, version)

    async def position_of(self, follower: str) -> int:
        return self.positions.get(follower, 0)

    async def advance(self, follower: str, position: int) -> None:
        self.positions[follower] = max(position, self.positions.get(follower, 0))

    def log(self) -> "MemoryStore":
        return self
