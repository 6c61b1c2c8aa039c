"""The store, the log and the positions, as one process sees them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import reduce
from typing import Any

from bus.failpoints import reach
from bus.ports import Append, StreamMoved
from domain.deciders import decider_of
from domain.policies import Event
from domain.recorded import Recorded
from infra.simulation.database import Database, DatabaseDown
from infra.simulation.processes import Process
from infra.store.recent import RecentEvents

_SIZE = 400
"""Bytes that an event is taken to have."""


class SimulatedStore:
    """Calls the database, which may be slow, down, or silent about what it did."""

    def __init__(self, process: Process, database: Database) -> None:
        self._process = process
        self._database = database
        self._world = process.world
        self._recent = RecentEvents()

    async def call(self) -> None:
        """Reach the database, or do not.

        Raises:
            DatabaseDown: It does not answer.
        """
        self._process.check()
        await self._world.pass_time()
        if self._database.is_down:
            raise DatabaseDown("the database is down")

    async def append(self, events: Sequence[Recorded[Event]]) -> Sequence[int]:
        """Append events of any streams in one transaction, and return their positions."""
        await self.call()
        troubles = self._world.troubles
        if self._world.chance(troubles.failed_commit):
            raise DatabaseDown("the connection broke before the commit")
        reach("store.before_commit")
        positions = self._database.append(events, self._process.name)
        if self._world.chance(troubles.lost_commit):
            self._world.note("lost_commit", self._process.name)
            await self._world.pass_time()
            if self._world.chance(0.7):
                raise StreamMoved  # the library has inserted once more
            raise DatabaseDown("the connection broke after the commit")
        await self._world.pass_time()
        self._recent.add(events, positions, [_SIZE] * len(positions))
        return positions

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[Append]:
        """Give what appends; a turn here is always one that was taken away at once."""
        await self.call()
        yield self.append

    async def load(self, stream: str) -> tuple[Any, int]:
        """Return the state of a stream and its version: (None, 0) when there is no such stream."""
        await self.call()
        state, version = self._database.snapshots.get(stream, (None, 0))
        tail = self._database.streams.get(stream, [])[version:]
        evolve = decider_of(stream).evolve
        return reduce(evolve, (past.event for past in tail), state), version + len(tail)

    async def read(self, stream: str, *, after: int = 0) -> Sequence[Recorded[Event]]:
        """Return a stream's events after a version."""
        await self.call()
        return self._database.streams.get(stream, [])[after:]

    async def keep(self, stream: str, state: Any, version: int) -> None:
        """Keep a snapshot of a stream, unless a later one is kept."""
        await self.call()
        if version >= self._database.snapshots.get(stream, (None, 0))[1]:
            self._database.snapshots[stream] = (state, version)

    async def read_all(self, *, after: int, limit: int) -> Sequence[Recorded[Event]]:
        """Return at most ``limit`` events after a position."""
        self._process.check()
        if recent := self._recent.after(after, limit):
            return recent
        await self.call()
        return self._database.after(after, limit)

    async def position_of(self, follower: str) -> int:
        """Return the position a follower has reached, 0 at first."""
        await self.call()
        return self._database.positions.get(follower, 0)

    async def advance(self, follower: str, position: int) -> None:
        """Remember a later position; an earlier one is ignored."""
        await self.call()
        reach("store.in_advance", follower)
        if position > self._database.positions.get(follower, 0):
            self._database.advance({follower: position})

    def log(self) -> "SimulatedLog":
        """Return the log for one follower: each is woken on its own."""
        return SimulatedLog(self, self._database.wake)


class SimulatedLog:
    """The log as one follower reads it."""

    def __init__(self, store: SimulatedStore, wake: list[Callable[[], None]]) -> None:
        self._store = store
        self._appended = asyncio.Event()
        wake.append(self._appended.set)

    async def read_all(self, *, after: int, limit: int) -> Sequence[Recorded[Event]]:
        """Return at most ``limit`` events after a position."""
        self._appended.clear()
        return await self._store.read_all(after=after, limit=limit)

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 # as the port has it
        """Return when something may have been appended, or after that many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._appended.wait()
