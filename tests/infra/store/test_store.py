"""The record on PostgreSQL: what it refuses, what its settings are, what a role may do."""

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from bus.ports import StreamMoved
from domain.errors import Unavailable, UnreadableStream
from infra.store.mapping import CorruptEvent, UnknownTopic
from infra.store.recorders import Datastore, Limits
from infra.store.store import DatabaseUnavailable, PostgresStore
from tests.support.recording import a_life

PLANT = (
    "insert into events (originator_id, originator_version, topic, state) values (%s, %s, %s, %s)"
)


def plant(database: str, stream: str, version: int, topic: str, state: bytes) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(PLANT, [stream, version, topic, state])


@pytest.mark.proves("S-17a")
async def test_a_planted_topic_is_an_error_and_imports_nothing(
    database: str, capfd: pytest.CaptureFixture[str]
) -> None:
    plant(database, "agent:eve", 1, "os:system", b'{"command":"echo imported"}')
    async with PostgresStore(database) as store:
        for reading in (store.load("agent:eve"), store.read("agent:eve")):
            with pytest.raises(UnknownTopic, match=r"event 1 of agent:eve .* 'os:system'"):
                await reading
        with pytest.raises(UnknownTopic):
            await store.read_all(after=0, limit=10)
    assert "imported" not in capfd.readouterr().out


async def test_a_corrupt_event_is_named_and_the_other_streams_are_well(database: str) -> None:
    plant(database, "agent:eve", 1, "agent.registered", b'{"meta":1}')
    async with PostgresStore(database) as store:
        await store.append(a_life("ann", [1]))
        with pytest.raises(CorruptEvent, match="event 1 of agent:eve cannot be read"):
            await store.load("agent:eve")
        assert (await store.load("agent:ann"))[1] == 1


async def test_an_unreadable_stream_is_something_that_may_get_better(database: str) -> None:
    assert issubclass(UnreadableStream, Unavailable)


@pytest.mark.proves("S-15d")
@pytest.mark.parametrize(
    "statement",
    ["update events set topic = 'x'", "delete from events", "truncate events"],
    ids=["update", "delete", "truncate"],
)
async def test_not_even_the_owner_changes_what_was_recorded(database: str, statement: str) -> None:
    async with PostgresStore(database) as store:
        await store.append(a_life("ann", [1]))
        with (
            psycopg.connect(database, autocommit=True) as connection,
            pytest.raises(psycopg.errors.RestrictViolation, match="the log is append-only"),
        ):
            connection.execute(statement.encode())
        assert len(await store.read("agent:ann")) == 1


@pytest.fixture
def writer(database: str) -> Iterator[str]:
    """The connection URL of a role that may only add to the log and read it."""
    role, place = f"writer_{uuid4().hex[:10]}", urlsplit(database)
    with psycopg.connect(database, autocommit=True) as connection:
        name = sql.Identifier(role)
        connection.execute(sql.SQL("create role {} login password 'w'").format(name))
        connection.execute(sql.SQL("grant insert, select on events to {}").format(name))
        connection.execute(sql.SQL("grant select on snapshots to {}").format(name))
        host = place.netloc.rpartition("@")[2]
        yield urlunsplit(place._replace(netloc=f"{role}:w@{host}"))
        connection.execute(sql.SQL("drop owned by {}").format(name))
        connection.execute(sql.SQL("drop role {}").format(name))


async def test_a_role_that_may_only_insert_and_select_can_append(writer: str) -> None:
    async with PostgresStore(writer) as store:
        await store.append(a_life("ann", [1, 2]))
        assert (await store.load("agent:ann"))[1] == 2
        with pytest.raises(StreamMoved):
            await store.append(a_life("ann", [2]))
    with psycopg.connect(writer, autocommit=True) as connection:
        for statement in ("update events set topic = 'x'", "delete from events"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


async def test_the_settings_hold_on_every_connection(database: str) -> None:
    limits = Limits(lock=1.5, idle_in_transaction=2.5, statement=7)
    datastore = Datastore(database, limits=limits, pool_max=2)
    expected = {
        "lock_timeout": "1500ms",
        "idle_in_transaction_session_timeout": "2500ms",
        "statement_timeout": "7s",
    }
    with datastore.get_connection() as one, datastore.get_connection() as other:
        for connection in (one, other):
            for setting, value in expected.items():
                shown = connection.execute(f"show {setting}".encode()).fetchone()
                assert shown == {setting: value}
            assert connection.info.get_parameters()["tcp_user_timeout"] == "3000"
    datastore.close()


async def test_a_commit_waits_for_the_disk(database: str) -> None:
    datastore = Datastore(database, limits=Limits(), pool_max=1)
    with datastore.get_connection() as connection:
        shown = connection.execute("show synchronous_commit").fetchone()
    datastore.close()
    assert shown == {"synchronous_commit": "on"}


async def test_a_database_that_does_not_answer_is_unavailable() -> None:
    limits = Limits(connect=1)
    async with PostgresStore("postgresql://nobody@127.0.0.1:1/none", limits=limits) as store:
        with pytest.raises(DatabaseUnavailable, match="the database does not answer"):
            await asyncio.wait_for(store.load("agent:ann"), 60)


async def test_a_database_that_comes_back_is_used_again(database: str) -> None:
    async with PostgresStore(database) as store:
        await store.append(a_life("ann", [1]))
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        assert (await store.load("agent:ann"))[1] == 1
        await store.append(a_life("ann", [2]))


async def test_two_who_keep_the_same_snapshot_at_once_do_no_harm(database: str) -> None:
    async with PostgresStore(database) as one, PostgresStore(database) as other:
        await one.append(a_life("ann", range(1, 4)))
        loaded = await one.load("agent:ann")
        for _ in range(20):
            await asyncio.gather(
                *(store.keep("agent:ann", *loaded) for store in (one, other, one, other))
            )
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute("delete from snapshots")


async def test_followers_read_what_others_appended_in_between(database: str) -> None:
    async with PostgresStore(database) as one, PostgresStore(database) as other:
        position, seen = 0, list[tuple[str, int]]()
        for version in range(1, 13):
            store = (one, one, other)[version % 3]
            await store.append(a_life("ann", [version]))
            await other.append(a_life(f"bob{version}", [1]))
            found = await one.read_all(after=position, limit=1)
            position = found[-1].position
            seen += [(event.stream, event.version) for event in found]
        rest = await one.read_all(after=position, limit=100)
        seen += [(event.stream, event.version) for event in rest]
        everything = await other.read_all(after=0, limit=100)
        assert seen == [(event.stream, event.version) for event in everything]


async def test_the_log_can_be_read_by_people(database: str) -> None:
    async with PostgresStore(database) as store:
        await store.append(a_life("ann", [1]))
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "select stream, version, type, event->'event'->>'agent_id' from event_log"
        ).fetchone()
    assert row == ("agent:ann", 1, "agent.registered", "ann")
