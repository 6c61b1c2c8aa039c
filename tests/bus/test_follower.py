"""A follower sees every event in order, at least once, and goes on where it was."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bus.follower import Follower
from bus.ports import Parking
from domain.errors import UnreadableStream
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
    store: MemoryStore, reader: Reader, *, batch: int = 500, parking: Parking | None = None
) -> AsyncGenerator[None]:
    follower = Follower(
        "reader", reader, events=store, positions=store, batch=batch, parking=parking
    )
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


class Riddle(MemoryStore):
    """A log of which some events cannot be read."""

    def __init__(self, *unreadable: int) -> None:
        super().__init__()
        self.unreadable = set(unreadable)

    async def read_all(self, *, after: int, limit: int) -> Sequence[Recorded[Event]]:
        events = await super().read_all(after=after, limit=limit)
        for event in events:
            if event.position in self.unreadable:
                raise UnreadableStream("what is this", stream="s", position=event.position)
        return events


@dataclass
class Lot:
    """Where events are parked."""

    positions: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    async def park(self, follower: str, position: int, *, stream: str, why: str) -> None:
        self.positions.setdefault(follower, []).append(position)

    async def parked(self, follower: str) -> Sequence[int]:
        return tuple(self.positions.get(follower, ()))

    async def release(self, follower: str, position: int) -> None:
        self.positions[follower].remove(position)


async def test_what_cannot_be_read_is_parked_and_heard_when_it_can_be() -> None:
    store, reader, lot = Riddle(3, 4, 9), Reader(), Lot()
    await store.append(a_life("ann", range(1, 13)))
    async with following(store, reader, batch=5, parking=lot):
        await until(lambda: store.positions.get("reader") == 12, "it has come to the end")
    assert reader.seen == [1, 2, 5, 6, 7, 8, 10, 11, 12]
    assert lot.positions == {"reader": [3, 4, 9]}
    store.unreadable = {4}
    async with following(store, reader, batch=5, parking=lot):
        await until(lambda: lot.positions == {"reader": [4]}, "two are heard after all")
    assert reader.seen[-2:] == [3, 9]


async def test_without_a_place_to_park_a_follower_stops_before_what_it_cannot_read() -> None:
    store, reader = Riddle(3), Reader()
    await store.append(a_life("ann", range(1, 6)))
    async with following(store, reader):
        await until(lambda: reader.seen == [1, 2], "it has read what it can")
        await asyncio.sleep(0.3)
        assert store.positions == {"reader": 2}
        store.unreadable = set()
        await until(lambda: reader.seen == [1, 2, 3, 4, 5], "it goes on")
