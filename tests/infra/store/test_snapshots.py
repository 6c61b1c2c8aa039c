"""Snapshots are a cache: what cannot be trusted is folded again."""

from dataclasses import replace

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent

from infra.store import snapshots
from infra.store.snapshots import code_version, freeze, thaw
from infra.store.store import PostgresStore
from tests.support.histories import a_history
from tests.support.recording import a_life

HISTORY = a_history(5, plans=2, size=8, turns=60)


@pytest.mark.parametrize("stream", sorted(HISTORY.states))
def test_a_state_comes_back_as_it_was(stream: str) -> None:
    state = HISTORY.states[stream]
    assert thaw(freeze(stream, state, 7)) == state


def kept() -> StoredEvent:
    return freeze("agent:meta_agent_1", HISTORY.states["agent:meta_agent_1"], 7)


def test_a_snapshot_of_other_code_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = kept()
    assert snapshot.topic == f"agent@{code_version()}"
    monkeypatch.setattr(snapshots, "code_version", lambda: "another")
    assert thaw(snapshot) is None


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_snapshot_with_one_wrong_byte_is_not_believed(place: int) -> None:
    wrong = bytearray(kept().state)
    wrong[place] ^= 1
    assert thaw(replace(kept(), state=bytes(wrong))) is None


def test_a_snapshot_that_is_cut_short_is_not_believed() -> None:
    for length in (0, 10, 32, 60):
        assert thaw(replace(kept(), state=kept().state[:length])) is None


def test_a_snapshot_of_another_kind_is_not_believed() -> None:
    assert thaw(replace(kept(), topic=f"plan@{code_version()}")) is None
    assert thaw(replace(kept(), topic=f"nothing@{code_version()}")) is None


@pytest.mark.parametrize(
    "damage",
    [
        "update snapshots set state = state || ' '::bytea",
        "update snapshots set topic = 'agent@0123456789abcdef'",
        "delete from snapshots",
    ],
    ids=["checksum", "code version", "gone"],
)
async def test_a_stream_loads_without_the_snapshot_that_cannot_be_trusted(
    database: str, damage: str
) -> None:
    async with PostgresStore(database) as store:
        await store.append(a_life("ann", range(1, 6)))
        loaded = await store.load("agent:ann")
        await store.keep("agent:ann", *loaded)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(damage.encode())
        assert await store.load("agent:ann") == loaded


async def test_a_snapshot_spares_the_reading_of_what_it_holds(database: str) -> None:
    async with PostgresStore(database) as store:
        await store.append(a_life("ann", range(1, 6)))
        state, _ = await store.load("agent:ann")
        await store.keep("agent:ann", state, 4)
        assert (await store.load("agent:ann"))[1] == 5
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("alter table events disable trigger events_are_append_only")
            connection.execute("update events set state = 'lost' where originator_version < 5")
        assert (await store.load("agent:ann"))[1] == 5
