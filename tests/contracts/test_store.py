"""What every store promises: the one on PostgreSQL and the one in memory."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeAlias

import pytest

from bus.ports import StreamMoved
from domain.agent import Agent
from domain.errors import Refused
from domain.recorded import Recorded
from infra.store.store import PostgresStore
from tests.support.histories import a_history
from tests.support.memory_store import MemoryStore
from tests.support.recording import a_life, status

AnyStore: TypeAlias = PostgresStore | MemoryStore


@pytest.fixture(params=["postgres", "memory"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[AnyStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    async with PostgresStore(request.getfixturevalue("database")) as kept:
        yield kept


async def test_what_was_appended_is_read_as_it_was(store: AnyStore) -> None:
    history = a_history(3, plans=2, size=8, turns=60).events
    positions = await store.append(history)
    found = await store.read_all(after=0, limit=len(history) + 1)
    assert [event.position for event in found] == list(positions)
    assert [without_position(event) for event in found] == [
        without_position(event) for event in history
    ]


def without_position(event: Recorded[object]) -> object:  # type: ignore[type-var] # of any event
    return (event.id, event.stream, event.version, event.event, event.at, event.causation_id)


async def test_positions_grow_in_the_order_of_appending(store: AnyStore) -> None:
    positions = [
        *await store.append(a_life("ann", range(1, 4))),
        *await store.append(a_life("bob", range(1, 3))),
        *await store.append(a_life("ann", range(4, 6))),
    ]
    assert positions == sorted(set(positions))


async def test_a_taken_version_moves_nothing_in_any_stream(store: AnyStore) -> None:
    await store.append(a_life("ann", [1, 2]))
    with pytest.raises(StreamMoved):
        await store.append([*a_life("bob", [1]), *a_life("ann", [2, 3])])
    assert await store.load("agent:bob") == (None, 0)
    assert len(await store.read("agent:ann")) == 2
    await store.append([*a_life("bob", [1]), *a_life("ann", [3])])


async def test_of_those_who_append_to_one_version_at_once_one_wins(store: AnyStore) -> None:
    outcomes = await asyncio.gather(
        *(store.append(a_life("ann", [1])) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(outcome, StreamMoved) for outcome in outcomes) == 7
    assert len(await store.read_all(after=0, limit=10)) == 1


async def test_a_stream_that_does_not_exist_has_no_state(store: AnyStore) -> None:
    assert await store.load("exec_nobody") == (None, 0)
    assert await store.read("exec_nobody") == []


async def test_a_name_that_is_no_stream_is_refused(store: AnyStore) -> None:
    with pytest.raises(Refused):
        await store.load("nonsense")


async def test_a_stream_is_read_after_a_version(store: AnyStore) -> None:
    await store.append([*a_life("ann", [1, 2]), *a_life("bob", [1]), *a_life("ann", [3])])
    assert [event.version for event in await store.read("agent:ann", after=1)] == [2, 3]
    assert list(await store.read("agent:ann", after=3)) == []


async def test_the_state_is_the_fold_of_the_stream(store: AnyStore) -> None:
    history = a_history(4, plans=2, size=8, turns=60)
    await store.append(history.events)
    for stream, state in history.states.items():
        count = sum(event.stream == stream for event in history.events)
        assert await store.load(stream) == (state, count)


async def test_a_snapshot_and_what_came_after_it_are_the_state(store: AnyStore) -> None:
    await store.append(a_life("ann", range(1, 4)))
    state, version = await store.load("agent:ann")
    await store.keep("agent:ann", state, version)
    assert await store.load("agent:ann") == (state, version)
    await store.append(a_life("ann", [4]))
    state, version = await store.load("agent:ann")
    assert version == 4
    assert isinstance(state, Agent)
    assert state.health == status("ann", 4).health


async def test_a_later_snapshot_takes_the_place_of_an_earlier_one(store: AnyStore) -> None:
    await store.append(a_life("ann", range(1, 6)))
    state, version = await store.load("agent:ann")
    await store.keep("agent:ann", state, 2)
    await store.keep("agent:ann", state, version)
    await store.keep("agent:ann", state, version)
    assert await store.load("agent:ann") == (state, version)


async def test_the_log_is_read_in_batches_after_a_position(store: AnyStore) -> None:
    positions = await store.append(a_life("ann", range(1, 8)))
    first = await store.read_all(after=0, limit=3)
    assert [event.version for event in first] == [1, 2, 3]
    rest = await store.read_all(after=positions[2], limit=100)
    assert [event.version for event in rest] == [4, 5, 6, 7]
    assert list(await store.read_all(after=positions[-1], limit=100)) == []


async def test_a_position_only_moves_forward(store: AnyStore) -> None:
    assert await store.position_of("relay") == 0
    for position, expected in [(5, 5), (9, 9), (7, 9), (9, 9)]:
        await store.advance("relay", position)
        assert await store.position_of("relay") == expected
    assert await store.position_of("views") == 0


async def test_a_follower_is_woken_by_an_append(store: AnyStore) -> None:
    log = store.log()
    assert list(await log.read_all(after=0, limit=1)) == []
    waiting = asyncio.create_task(log.wait(60))
    await store.append(a_life("ann", [1]))
    await asyncio.wait_for(waiting, 20)


async def test_a_follower_is_not_kept_waiting_by_what_it_has_not_read_yet(store: AnyStore) -> None:
    log = store.log()
    await log.read_all(after=0, limit=1)
    await store.append(a_life("ann", [1]))
    await asyncio.wait_for(log.wait(60), 20)


async def test_a_wait_ends_without_news(store: AnyStore) -> None:
    log = store.log()
    await log.read_all(after=0, limit=1)
    await asyncio.wait_for(log.wait(0.01), 20)
