"""The store, as the protocol's loops see it: the recorders behind asyncio.

The library blocks, so each call runs in a thread. One process appends in groups, one group at a
time, so that a handful of threads is plenty.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial, reduce
from typing import Any, TypeVar
from weakref import WeakSet

import psycopg
import structlog
from eventsourcing.persistence import IntegrityError, PersistenceError, StoredEvent

from bus.failpoints import reach
from bus.ports import Append, StreamMoved
from domain.deciders import decider_of
from domain.errors import Unavailable
from domain.policies import Event
from domain.recorded import Recorded
from infra.store import leading, snapshots
from infra.store.kek import Kek
from infra.store.keyring import Keyring
from infra.store.mapping import from_stored, to_stored
from infra.store.recent import RecentEvents
from infra.store.recorders import Datastore, EventRecorder, Limits, SnapshotRecorder
from infra.store.sealing import seal, unseal

T = TypeVar("T")
log = structlog.get_logger(__name__)


class DatabaseUnavailable(Unavailable):
    """The record cannot be reached."""

    code = "database-unavailable"

    def __init__(self, error: BaseException) -> None:
        first_line = str(error).strip().partition("\n")[0] or type(error).__name__
        super().__init__(f"the database does not answer: {first_line}")


class PostgresStore:
    """The log, the streams and the followers' positions in one PostgreSQL database."""

    def __init__(
        self,
        dsn: str,
        *,
        limits: Limits | None = None,
        pool_max: int = 4,
        kek: Kek | None = None,
    ) -> None:
        """Take where it is; without ``kek`` nothing is encrypted, and what is reads forgotten."""
        self._dsn = leading.signed(dsn)
        self._datastore = Datastore(self._dsn, limits=limits or Limits(), pool_max=pool_max)
        self._events = EventRecorder(self._datastore)
        self._snapshots = SnapshotRecorder(self._datastore)
        self._threads = ThreadPoolExecutor(pool_max, thread_name_prefix="store")
        self._logs: WeakSet[PostgresLog] = WeakSet()
        self._recent = RecentEvents()
        self._forgetting: list[Callable[[], None]] = []
        self._keyring = None if kek is None else Keyring(kek, self._datastore.get_connection)
        self._listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "PostgresStore":
        self._listener = asyncio.create_task(self._listen(), name="store.listen")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listener is not None:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener
        await asyncio.to_thread(self._datastore.close)
        self._threads.shutdown(wait=False)

    async def append(self, events: Sequence[Recorded[Event]]) -> Sequence[int]:
        """Append events of any streams in one transaction, and return their positions.

        Raises:
            StreamMoved: A version is taken already; nothing was appended.
            DatabaseUnavailable: It is unknown whether anything was appended.
        """
        return await self._append_all(events, in_turn=False)

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[Append]:
        """Keep all others from appending, and give what appends meanwhile.

        A turn ends early when nothing is appended for as long as a transaction may be idle.

        Raises:
            DatabaseUnavailable: It is not to be had.
        """
        held = ExitStack()
        await self._call(lambda: held.enter_context(self._events.turn()))
        try:
            yield partial(self._append_all, in_turn=True)
        finally:
            with suppress(DatabaseUnavailable):  # then it has ended before
                await self._call(held.close)

    async def _append_all(
        self, events: Sequence[Recorded[Event]], *, in_turn: bool
    ) -> Sequence[int]:
        try:
            appended, stored, positions = await self._call(
                lambda: self._append(events, in_turn=in_turn)
            )
        except IntegrityError as error:
            raise StreamMoved from error
        self._recent.add(appended, positions, [len(each.state) for each in stored])
        self._wake()
        return positions

    async def load(self, stream: str) -> tuple[Any, int]:
        """Return the state of a stream and its version: (None, 0) when there is no such stream."""
        return await self._call(lambda: self._load(stream))

    async def version(self, stream: str, *, until: int | None = None) -> int:
        """Return how many events a stream has, or had at a position."""
        return await self._call(lambda: self._events.version_of(stream, until))

    async def read(self, stream: str, *, after: int = 0) -> Sequence[Recorded[Event]]:
        """Return a stream's events after a version."""
        return await self._call(
            lambda: [self._read(stored) for stored in self._events.select_stream(stream, after)]
        )

    async def read_all(self, *, after: int, limit: int) -> Sequence[Recorded[Event]]:
        """Return at most ``limit`` events after a position."""
        if recent := self._recent.after(after, limit):
            return recent
        return await self._call(
            lambda: [self._read(stored) for stored in self._events.select_after(after, limit)]
        )

    async def read_at(self, positions: Sequence[int]) -> Sequence[Recorded[Event]]:
        """Return the events at positions, in their order."""
        return await self._call(
            lambda: [self._read(stored) for stored in self._events.select_at(positions)]
        )

    async def read_stream(
        self, stream: str, *, after: int, limit: int
    ) -> Sequence[Recorded[Event]]:
        """Return at most ``limit`` events of a stream after a position."""
        return await self._call(
            lambda: [
                self._read(stored) for stored in self._events.select_part(stream, after, limit)
            ]
        )

    async def read_types(
        self, types: Collection[str], *, after: int, up_to: int
    ) -> Sequence[Recorded[Event]]:
        """Return the events of some types after a position, up to another one."""
        return await self._call(
            lambda: [
                self._read(stored)
                for stored in self._events.select_types(sorted(types), after, up_to)
            ]
        )

    async def head(self) -> int:
        """Return the position of the last event, 0 when there is none."""
        return await self._call(lambda: self._events.max_notification_id() or 0)

    async def is_led(self, duty: str) -> bool:
        """Tell whether some process has the lead of a duty."""
        return await self._call(lambda: self._is_led(duty))

    async def keep(self, stream: str, state: Any, version: int) -> None:
        """Keep a snapshot of a stream."""
        await self._call(lambda: self._snapshots.replace(snapshots.freeze(stream, state, version)))

    async def position_of(self, follower: str) -> int:
        """Return the position a follower has reached, 0 at first."""
        return await self._call(lambda: self._position_of(follower))

    async def advance(self, follower: str, position: int) -> None:
        """Remember a later position; an earlier one is ignored."""
        await self._call(lambda: self._advance(follower, position))

    def log(self) -> "PostgresLog":
        """Return the log for one follower: each is woken on its own."""
        followed = PostgresLog(self)
        self._logs.add(followed)
        return followed

    async def lead(self, duty: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do some work whenever this process has the lead, until cancelled."""
        await leading.lead(self._dsn, duty, work)

    def when_forgotten(self, forget: Callable[[], None]) -> None:
        """Have somebody told whenever a person was forgotten, and has to be everywhere."""
        self._forgetting.append(forget)

    def forget_what_was_read(self) -> None:
        """Keep nothing in memory that may be personal: somebody was forgotten."""
        for forget in self._forgetting:
            forget()
        self._recent.clear()
        if self._keyring is not None:
            self._keyring.forget()

    def _append(
        self, events: Sequence[Recorded[Event]], *, in_turn: bool
    ) -> tuple[Sequence[Recorded[Event]], Sequence[StoredEvent], Sequence[int]]:
        if self._keyring is None:
            stored: Sequence[StoredEvent] = [to_stored(event) for event in events]
        else:
            stored, events = seal(events, self._keyring)
        return events, stored, self._events.insert_events(stored, in_turn=in_turn)

    def _read(self, stored: StoredEvent) -> Recorded[Event]:
        return from_stored(stored, self._unseal)

    def _unseal(self, state: dict[str, Any], stored: StoredEvent) -> None:
        if self._keyring is not None:
            unseal(state, stored, self._keyring)

    def _load(self, stream: str) -> tuple[Any, int]:
        decider = decider_of(stream)
        state: Any = None
        version = 0
        snapshot = self._snapshots.latest(stream)
        if snapshot is not None and (thawed := snapshots.thaw(snapshot)) is not None:
            state, version = thawed, snapshot.originator_version
        tail = [self._read(stored) for stored in self._events.select_stream(stream, version)]
        state = reduce(decider.evolve, (past.event for past in tail), state)
        return state, version + len(tail)

    def _position_of(self, follower: str) -> int:
        with self._datastore.get_connection() as connection:
            row = connection.execute(
                "select position from positions where follower = %s", [follower], prepare=True
            ).fetchone()
        return 0 if row is None else int(row["position"])

    def _is_led(self, duty: str) -> bool:
        with self._datastore.get_connection() as connection:
            row = connection.execute(leading.IS_LED, {"duty": duty}).fetchone()
        return row is not None and bool(row["is_led"])

    def _advance(self, follower: str, position: int) -> None:
        with self._datastore.get_connection() as connection, connection.transaction():
            # A position that is lost in a crash is reached again: it need not wait for the disk.
            connection.execute("set local synchronous_commit = off")
            connection.execute(
                "insert into positions values (%s, %s) on conflict (follower) do update"
                " set position = excluded.position"
                " where positions.position < excluded.position",
                [follower, position],
                prepare=True,
            )
            reach("store.in_advance", follower)

    async def _call(self, function: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function)
        except IntegrityError:
            raise
        except (PersistenceError, psycopg.Error) as error:
            raise DatabaseUnavailable(error) from error

    def _wake(self) -> None:
        for followed in self._logs:
            followed.appended.set()

    async def _listen(self) -> None:
        """Wake followers when another process appends; a lost connection costs only the wake-up."""
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(self._dsn, autocommit=True)
                async with connection:
                    await connection.execute("listen events")
                    await connection.execute("listen forgotten")
                    self.forget_what_was_read()  # it may have been said before we listened
                    async for heard in connection.notifies():
                        if heard.channel == "forgotten":
                            self.forget_what_was_read()
                        self._wake()
            except psycopg.Error:
                await asyncio.sleep(1)


class PostgresLog:
    """The log as one follower reads it."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self.appended = asyncio.Event()

    async def read_all(self, *, after: int, limit: int) -> Sequence[Recorded[Event]]:
        """Return at most ``limit`` events after a position."""
        self.appended.clear()
        return await self._store.read_all(after=after, limit=limit)

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 # the wait is bounded, not failed
        """Return when something was appended since the last read, or after that many seconds."""
        # Not wait_for: in Python 3.11 it forgets a cancellation that comes with the wake-up.
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self.appended.wait()
