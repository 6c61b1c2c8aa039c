"""A writer that is stopped inside its transaction delays the others by the settings, not more."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

from infra.store.recorders import Limits
from infra.store.store import DatabaseUnavailable, PostgresStore
from tests.support.recording import a_life

LIMITS = Limits(lock=1.0, idle_in_transaction=1.0)
STOPPED = """
import os, signal, sys
from infra.store.recorders import APPEND_LOCK, Datastore, Limits

datastore = Datastore(sys.argv[1], limits=Limits(lock=1.0, idle_in_transaction=1.0), pool_max=1)
with datastore.get_connection() as connection, connection.transaction():
    connection.execute("select pg_advisory_xact_lock(%s)", [APPEND_LOCK])
    connection.execute(
        "insert into events (originator_id, originator_version, topic, state)"
        " values ('agent:stopped', 1, 'agent.registered', '{}')"
    )
    print("inside", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@contextmanager
def stopped_writer(dsn: str) -> Generator[None]:
    """Have another process draw a position, and stop it before it can commit."""
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED, dsn], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"inside\n"
        os.waitid(os.P_PID, writer.pid, os.WSTOPPED)
        try:
            yield
        finally:
            writer.send_signal(signal.SIGKILL)


async def test_a_stopped_writer_is_put_out_and_leaves_nothing(database: str) -> None:
    async with PostgresStore(database, limits=LIMITS) as store:
        await store.append(a_life("ann", [1]))
        with stopped_writer(database):
            refusals: list[str] = []
            while len(await store.read("agent:ann")) == 1:
                try:
                    await store.append(a_life("ann", [2]))
                except DatabaseUnavailable as error:
                    refusals.append(str(error))
            # Each costs the lock timeout; with the library's defaults one would hang for 5 s.
            assert len(refusals) <= 2
            assert all("lock timeout" in refusal for refusal in refusals)
        streams = {event.stream for event in await store.read_all(after=0, limit=10)}
        assert streams == {"agent:ann"}


async def test_readers_do_not_wait_for_a_stopped_writer(database: str) -> None:
    async with PostgresStore(database, limits=LIMITS) as store:
        await store.append(a_life("ann", [1]))
        with stopped_writer(database):
            assert (await store.load("agent:ann"))[1] == 1
            assert len(await store.read_all(after=0, limit=10)) == 1
            await store.advance("relay", 1)
