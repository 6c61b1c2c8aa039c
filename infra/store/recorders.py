"""The library's PostgreSQL recorders, with one statement of ours and settings that hold.

What differs from the library, and why:

* Events are inserted from four plain arrays, not from an array of composites, which psycopg
  encodes in Python. Writers are ordered by an advisory lock, not by ``LOCK TABLE``: positions
  become visible in their order just the same, and a role that may only INSERT and SELECT can
  append.
* An insert is never repeated by itself. After a lost reply to COMMIT a repetition looks like a
  conflict; ``infra.store.store`` finds out instead what was recorded.
* The database functions of the library stay off: they take no lock, so that a reader that follows
  the log misses events for ever.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString, cast

from eventsourcing.persistence import Notification, StoredEvent
from eventsourcing.postgres import (
    PostgresAggregateRecorder,
    PostgresApplicationRecorder,
    PostgresDatastore,
)
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, tuple_row

from bus.failpoints import reach

APPEND_LOCK = 0x7A5C_0002
"""The advisory lock that orders all appends of a database."""

TURN_LOCK = 0x7A5C_0006
"""The advisory lock that all appenders share, or one has alone whose turn it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long PostgreSQL and the network may keep a writer waiting, in seconds."""

    lock: float = 1.0
    idle_in_transaction: float = 1.0
    statement: float = 30.0
    connect: float = 5.0
    unacknowledged: float = 3.0
    """How long sent bytes may stay unacknowledged before the connection counts as broken."""


class Datastore(PostgresDatastore):
    """A pool of connections to one database."""

    def __init__(self, dsn: str, *, limits: Limits, pool_max: int) -> None:
        parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items()}
        self._limits = limits
        super().__init__(
            dbname=parts.pop("dbname", "taskloom"),
            host=parts.pop("host", ""),
            port=parts.pop("port", ""),
            user=parts.pop("user", ""),
            password=parts.pop("password", ""),
            connect_timeout=limits.connect,
            idle_in_transaction_session_timeout=limits.idle_in_transaction,
            pool_size=1,
            max_overflow=pool_max - 1,
            pre_ping=True,
            originator_id_type="text",
            enable_db_functions=False,
        )
        connection_arguments = cast("dict[str, object]", self.pool.kwargs)
        connection_arguments |= parts | {
            "connect_timeout": str(max(2, round(limits.connect))),
            "tcp_user_timeout": str(round(limits.unacknowledged * 1000)),
        }

    def register_type_adapters(self) -> None:
        """Do without composites, so that nobody needs the database before the first question."""

    def after_connect_func(self) -> Callable[[Connection[Any]], None]:
        """Return what sets up a new connection."""
        limits = self._limits

        def after_connect(connection: Connection[Any]) -> None:
            connection.autocommit = True
            for setting, seconds in (
                ("lock_timeout", limits.lock),
                ("idle_in_transaction_session_timeout", limits.idle_in_transaction),
                ("statement_timeout", limits.statement),
            ):
                connection.execute(
                    "select set_config(%s, %s, false)", [setting, f"{round(seconds * 1000)}ms"]
                )

        return after_connect


class EventRecorder(PostgresApplicationRecorder):
    """The log."""

    def __init__(self, datastore: PostgresDatastore) -> None:
        super().__init__(datastore, events_table_name="events")

    @contextmanager
    def turn(self) -> Generator[None]:
        """Keep all others from appending, for as long as a transaction may be idle."""
        with self.datastore.get_connection() as connection, connection.transaction():
            connection.execute("select pg_advisory_xact_lock(%s)", [TURN_LOCK], prepare=True)
            yield

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        *,
        in_turn: bool = False,
        **_: Any,
    ) -> Sequence[int]:
        """Append events in one transaction and return their positions; in a turn, or not.

        Raises:
            IntegrityError: A version is taken.
            PersistenceError: The database does not answer; what happened is unknown.
        """
        columns = [
            [event.originator_id for event in stored_events],
            [event.originator_version for event in stored_events],
            [event.topic for event in stored_events],
            [event.state for event in stored_events],
        ]
        with (
            self.datastore.get_connection() as connection,
            connection.pipeline(),
            connection.transaction(),
        ):
            if not in_turn:
                connection.execute(
                    "select pg_advisory_xact_lock_shared(%s)", [TURN_LOCK], prepare=True
                )
            connection.execute("select pg_advisory_xact_lock(%s)", [APPEND_LOCK], prepare=True)
            connection.execute("notify events", prepare=True)
            cursor = connection.cursor(row_factory=tuple_row, binary=True)
            cursor.execute(
                "insert into events (originator_id, originator_version, topic, state)"
                " select * from unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[])"
                " returning notification_id",
                columns,
                prepare=True,
            )
            positions = [int(row[0]) for row in cursor.fetchall()]
            reach("store.before_commit")
        return positions

    def select_after(self, position: int, limit: int) -> Sequence[Notification]:
        """Return events after a position, in their order."""
        with self.datastore.get_connection() as connection:
            return _notifications(
                connection,
                "select notification_id, originator_id, originator_version, topic, state"
                " from events where notification_id > %s order by notification_id limit %s",
                [position, limit],
            )

    def select_at(self, positions: Sequence[int]) -> Sequence[Notification]:
        """Return the events at positions, in their order."""
        with self.datastore.get_connection() as connection:
            return _notifications(
                connection,
                "select notification_id, originator_id, originator_version, topic, state"
                " from events where notification_id = any(%s::bigint[]) order by notification_id",
                [list(positions)],
            )

    def version_of(self, stream: str, until: int | None) -> int:
        """Return a stream's version, now or at a position."""
        with self.datastore.get_connection() as connection:
            row = connection.execute(
                "select originator_version from events where originator_id = %(stream)s"
                " and (%(until)s::bigint is null or notification_id <= %(until)s)"
                " order by originator_version desc limit 1",
                {"stream": stream, "until": until},
                prepare=True,
            ).fetchone()
        return 0 if row is None else int(row["originator_version"])

    def select_stream(self, stream: str, after: int) -> Sequence[Notification]:
        """Return a stream's events after a version, with their positions."""
        with self.datastore.get_connection() as connection:
            return _notifications(
                connection,
                "select notification_id, originator_id, originator_version, topic, state"
                " from events where originator_id = %s and originator_version > %s"
                " order by originator_version",
                [stream, after],
            )

    def select_part(self, stream: str, position: int, limit: int) -> Sequence[Notification]:
        """Return some of a stream's events after a position."""
        with self.datastore.get_connection() as connection:
            return _notifications(
                connection,
                "select notification_id, originator_id, originator_version, topic, state"
                " from events where originator_id = %s and notification_id > %s"
                " order by originator_version limit %s",
                [stream, position, limit],
            )

    def select_types(
        self, types: Sequence[str], position: int, up_to: int
    ) -> Sequence[Notification]:
        """Return the events of some types after a position, up to another one."""
        with self.datastore.get_connection() as connection:
            return _notifications(
                connection,
                "select notification_id, originator_id, originator_version, topic, state"
                " from events where notification_id > %s and notification_id <= %s"
                " and topic = any(%s) order by notification_id",
                [position, up_to, list(types)],
            )


class SnapshotRecorder(PostgresAggregateRecorder):
    """The snapshots: a cache that may be emptied at any time."""

    def __init__(self, datastore: PostgresDatastore) -> None:
        super().__init__(datastore, events_table_name="snapshots")

    def replace(self, snapshot: StoredEvent) -> None:
        """Keep a snapshot instead of the stream's earlier ones."""
        with (
            self.datastore.get_connection() as connection,
            connection.pipeline(),
            connection.transaction(),
        ):
            connection.execute(
                "delete from snapshots where originator_id = %s and originator_version < %s",
                [snapshot.originator_id, snapshot.originator_version],
            )
            # Another process may keep the same one at the same time.
            connection.execute(
                "insert into snapshots values (%s, %s, %s, %s)"
                " on conflict (originator_id, originator_version)"
                " do update set topic = excluded.topic, state = excluded.state",
                [
                    snapshot.originator_id,
                    snapshot.originator_version,
                    snapshot.topic,
                    snapshot.state,
                ],
            )
            reach("snapshot.before_commit")

    def latest(self, stream: str) -> StoredEvent | None:
        """Return the stream's snapshot, if there is one."""
        found = self.select_events(stream, desc=True, limit=1)
        return found[0] if found else None


def _notifications(
    connection: Connection[DictRow], query: LiteralString, params: Sequence[object]
) -> Sequence[Notification]:
    cursor = connection.cursor(row_factory=tuple_row, binary=True)
    cursor.execute(query, params, prepare=True)
    return [
        Notification(
            id=position, originator_id=stream, originator_version=version, topic=topic, state=state
        )
        for position, stream, version, topic, state in cursor
    ]
