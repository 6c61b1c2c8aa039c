"""One of several leads; who loses the connection loses the lead and stops working."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
import pytest

from domain.errors import Unavailable
from infra.store.leading import STALLED, connect_to_lead, signed
from infra.store.store import PostgresStore
from tests.support.waiting import until


class Silent(Unavailable):
    """Something does not answer."""

    code = "silent"


class Worker:
    """Somebody who wants to lead, and notes when it works."""

    def __init__(self) -> None:
        self.is_working = False
        self.begun = 0
        self.cancelled = 0

    async def work(self) -> None:
        self.is_working = True
        self.begun += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.is_working = False


@asynccontextmanager
async def leading(dsn: str, worker: Worker, duty: str = "test") -> AsyncGenerator[PostgresStore]:
    async with PostgresStore(dsn) as store:
        leads = asyncio.create_task(store.lead(duty, worker.work))
        yield store
        leads.cancel()
        await asyncio.gather(leads, return_exceptions=True)


def put_out_the_leader(dsn: str) -> int:
    """End the connection that holds the lead, as a crash would, and return how many there were."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        ended = connection.execute(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted"
            " and database = (select oid from pg_database where datname = current_database())"
        ).fetchall()
    return len(ended)


async def test_the_second_waits_and_takes_over_when_the_first_is_gone(database: str) -> None:
    first, second = Worker(), Worker()
    async with leading(database, first) as store:
        await until(lambda: first.is_working, "the first leads")
        async with leading(database, second):
            assert await store.is_led("test")
            await asyncio.sleep(0.6)  # long enough for the second to have asked twice
            assert not second.is_working
            assert put_out_the_leader(database) == 1
            await until(lambda: second.is_working, "the second takes over")
            await until(lambda: first.cancelled == 1, "the first stops working")
            assert (first.begun, second.begun) == (1, 1)
            assert not first.is_working
        await until(lambda: first.begun == 2, "the first leads again")


async def test_whoever_stops_gives_the_lead_back(database: str) -> None:
    first, second = Worker(), Worker()
    async with PostgresStore(database) as store:
        async with leading(database, first):
            await until(lambda: first.is_working, "the first leads")
        assert (first.cancelled, first.is_working) == (1, False)
        assert not await store.is_led("test")
        async with leading(database, second):
            await until(lambda: second.is_working, "the second leads")


async def test_each_duty_has_a_lead_of_its_own(database: str) -> None:
    first, second = Worker(), Worker()
    async with leading(database, first, "one"), leading(database, second, "other") as store:
        await until(lambda: first.is_working and second.is_working, "both lead")
        assert await store.is_led("one")
        assert await store.is_led("other")
        assert not await store.is_led("third")


async def test_work_that_fails_is_not_hidden(database: str) -> None:
    async def fail() -> None:
        raise LookupError("a bug")

    async with PostgresStore(database) as store:
        with pytest.raises(LookupError, match="a bug"):
            await asyncio.wait_for(store.lead("test", fail), 60)


async def test_work_that_cannot_be_done_now_is_begun_again(database: str) -> None:
    worker = Worker()

    async def begin() -> None:
        if worker.begun < 2:
            worker.begun += 1
            raise Silent("not now")
        await worker.work()

    async with PostgresStore(database) as store:
        leads = asyncio.create_task(store.lead("test", begin))
        await until(lambda: worker.is_working, "it works")
        leads.cancel()
        await asyncio.gather(leads, return_exceptions=True)
    assert worker.begun == 3


async def test_a_machine_that_vanishes_is_noticed_within_seconds(database: str) -> None:
    async with await connect_to_lead(database) as connection:
        assert connection.info.get_parameters()["tcp_user_timeout"] == "3000"
        is_local = connection.info.host.startswith("/")  # a socket file has no other machine
        for setting, value in (("idle", "2"), ("interval", "1"), ("count", "3")):
            cursor = await connection.execute(f"show tcp_keepalives_{setting}".encode())
            assert await cursor.fetchone() == ("0" if is_local else value,)


async def test_a_leader_that_stands_still_is_deposed(database: str) -> None:
    second = Worker()
    async with await connect_to_lead(database) as still:
        await still.execute("select pg_advisory_lock(hashtext('test'))")
        began = asyncio.get_running_loop().time()
        async with leading(database, second) as store:
            await until(lambda: second.is_working, "the second takes over")
            assert asyncio.get_running_loop().time() - began > STALLED
            assert await store.is_led("test")
            with pytest.raises(psycopg.OperationalError):
                await still.execute("select 1")


async def test_what_a_deposed_leader_has_locked_is_free_again(database: str) -> None:
    mine = signed(database)
    second = Worker()
    connect = psycopg.AsyncConnection.connect
    async with (
        await connect_to_lead(mine) as still,
        await connect(mine, autocommit=True) as appending,
        await connect(signed(database), autocommit=True) as stranger,
    ):
        await still.execute("select pg_advisory_lock(hashtext('test'))")
        # As in the middle of an append: a lock is held, and nobody comes to let it go.
        await appending.execute("select pg_advisory_lock(77)")
        async with leading(database, second):
            await until(lambda: second.is_working, "the second takes over")
            cursor = await stranger.execute("select pg_try_advisory_lock(77)")
            assert await cursor.fetchone() == (True,)
            with pytest.raises(psycopg.OperationalError):
                await appending.execute("select 1")


async def test_a_leader_that_works_on_is_left_alone(database: str) -> None:
    first, second = Worker(), Worker()
    async with leading(database, first):
        await until(lambda: first.is_working, "the first leads")
        async with leading(database, second):
            await asyncio.sleep(2.5 * STALLED)
            assert (first.cancelled, second.begun) == (0, 0)
