"""A follower sees every event in order, at least once, and goes on where it was."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from bus.follower import Follower
from domain.policies import Event
from domain.recorded import Recorded
from infra.store.store import DatabaseUnavailable
from tests.support.memory_store import MemoryStore
from tests.support.recording import a_life
from tests.support.waiting import until


class Reader:
    """Notes what it is given, and fails as often as it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.failures = 0

    @property
    def seen(self) -> list[int]:
        return [version for batch in self.batches for version in batch]

    async def __call__(self, events: Sequence[Recorded[Event]]) -> None:
        self.batches.append([event.version for event in events])
        if self.failures:
            self.failures -= 1
            raise DatabaseUnavailable(OSError("cut"))


@asynccontextmanager
async def following(
    store: MemoryStore, reader: Reader, *, batch: int = 500
) -> AsyncGenerator[None]:
    follower = Follower("reader", reader, events=store, positions=store, batch=batch)
    running = asyncio.create_task(follower.run())
    try:
        yield
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_follower_sees_everything_in_order_and_batch_by_batch() -> None:
    store, reader = MemoryStore(), Reader()
    await store.append(a_life("ann", range(1, 8)))
    async with following(store, reader, batch=3):
        await until(lambda: store.positions.get("reader") == 7, "it has come to the end")
    assert reader.batches == [[1, 2, 3], [4, 5, 6], [7]]


async def test_a_follower_hears_of_what_is_appended_later() -> None:
    store, reader = MemoryStore(), Reader()
    async with following(store, reader):
        for version in range(1, 4):
            await store.append(a_life("ann", [version]))
            await until(lambda seen=version: reader.seen[-1:] == [seen], "it has seen it")  # type: ignore[misc]
    assert reader.seen == [1, 2, 3]


async def test_a_follower_goes_on_where_it_was() -> None:
    store, reader = MemoryStore(), Reader()
    await store.append(a_life("ann", range(1, 6)))
    await store.advance("reader", 3)
    async with following(store, reader):
        await until(lambda: store.positions.get("reader") == 5, "it has come to the end")
    assert reader.seen == [4, 5]


async def test_a_batch_that_failed_comes_again_before_the_next() -> None:
    store, reader = MemoryStore(), Reader()
    reader.failures = 2
    await store.append(a_life("ann", range(1, 5)))
    async with following(store, reader, batch=2):
        await until(lambda: store.positions.get("reader") == 4, "it has come to the end")
    assert reader.batches == [[1, 2], [1, 2], [1, 2], [3, 4]]


async def test_the_position_moves_only_when_a_batch_is_done() -> None:
    store, reader = MemoryStore(), Reader()
    reader.failures = 1_000
    await store.append(a_life("ann", [1]))
    async with following(store, reader):
        await until(lambda: len(reader.batches) >= 2, "it tries again")
        assert store.positions == {}
