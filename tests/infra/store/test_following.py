"""A reader that follows the log misses nothing, whatever its writers do in between."""

import asyncio
from collections.abc import Callable

import psycopg

from domain.policies import Event
from domain.recorded import Recorded
from infra.store.mapping import to_stored
from infra.store.recorders import APPEND_LOCK, Limits
from infra.store.store import PostgresStore
from tests.support.recording import a_life

WRITERS, APPENDS, GROUP = 4, 50, 100
STALLED = 40
INSERT = (
    "insert into events (originator_id, originator_version, topic, state) values (%s, %s, %s, %s)"
)


async def write(store: PostgresStore, name: str) -> None:
    for number in range(APPENDS):
        first = number * GROUP + 1
        await store.append(a_life(name, range(first, first + GROUP)))


async def stall(dsn: str, *, takes_lock: bool) -> None:
    """Append event by event, and dawdle in each transaction after the position was drawn."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        for event in a_life("snail", range(1, STALLED + 1)):
            if takes_lock:
                await connection.execute("select pg_advisory_xact_lock(%s)", [APPEND_LOCK])
            stored = to_stored(event)
            row = [event.stream, event.version, stored.topic, stored.state]
            await connection.execute(INSERT, row)
            await connection.execute("select pg_sleep(0.02)")
            await connection.commit()


async def follow(
    store: PostgresStore, seen: list[Recorded[Event]], is_done: Callable[[], bool]
) -> None:
    """Read batch after batch until everything is written and nothing more comes."""
    log = store.log()
    while True:
        was_done = is_done()
        events = await log.read_all(after=seen[-1].position if seen else 0, limit=500)
        seen += events
        if not events:
            if was_done:
                return
            await log.wait(0.05)


async def missed(dsn: str, *, takes_lock: bool) -> tuple[int, int]:
    """Return how many events a follower missed, and how many there are."""
    seen: list[Recorded[Event]] = []
    async with (
        # On a slow machine so many wait for their turn longer than they would have to elsewhere.
        PostgresStore(dsn, pool_max=2 * WRITERS, limits=Limits(lock=60)) as writing,
        PostgresStore(dsn) as reading,
    ):
        works = asyncio.gather(
            *(write(writing, f"w{number}") for number in range(WRITERS)),
            stall(dsn, takes_lock=takes_lock),
        )
        await asyncio.gather(works, follow(reading, seen, works.done))
    positions = [event.position for event in seen]
    assert positions == sorted(set(positions))
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select count(*) from events").fetchone()
    assert row is not None
    return row[0] - len(seen), row[0]


async def test_a_follower_misses_nothing_of_twenty_thousand_events(database: str) -> None:
    assert await missed(database, takes_lock=True) == (0, WRITERS * APPENDS * GROUP + STALLED)


async def test_without_the_lock_a_follower_would_miss_events(database: str) -> None:
    """The test above can fail: a writer that does without the lock is enough."""
    gaps, _ = await missed(database, takes_lock=False)
    assert gaps > 0


async def test_a_writer_wakes_followers_in_other_processes(database: str) -> None:
    async with PostgresStore(database) as here, PostgresStore(database) as there:
        log = there.log()
        for version in range(1, 11):
            await log.read_all(after=0, limit=1)
            waiting = asyncio.create_task(log.wait(60))
            await here.append(a_life("ann", [version]))
            # The other's listener may still be on its way to the server: then it is told again.
            done, _ = await asyncio.wait([waiting], timeout=2)
            if done:
                return
            waiting.cancel()
    raise AssertionError("nobody was woken")
