"""A recorder that runs for the length of a test."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from bus.ports import Store
from bus.recorder import Recorder
from tests.support.scenario import NOW


@dataclass
class SteppedClock:
    """A clock that moves when it is told to."""

    time: datetime = NOW

    def now(self) -> datetime:
        return self.time

    def pass_by(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@asynccontextmanager
async def recording(
    store: Store,
    *,
    group: int = 500,
    most_parts: int = 200_000,
    tries: int = 6,
    clock: SteppedClock | None = None,
) -> AsyncGenerator[Recorder]:
    now = clock or SteppedClock()
    recorder = Recorder(store, now, group=group, most_parts=most_parts, tries=tries)
    running = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
