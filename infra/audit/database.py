"""The log and its seals, as they are read from PostgreSQL by who verifies them."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

import psycopg

from infra.audit.hashing import Seal, StoredRow

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

PAGE: Final = 200
"""Seals that are read at a time."""

_SEALS: Final = (
    "select number, first_position, last_position, count, positions, hashes, previous, hash,"
    " sealed_at from seals where number > %s order by number limit %s"
)
_ROWS: Final = (
    "select notification_id, originator_id, originator_version, topic, state from events"
    " where notification_id > %s and notification_id <= %s order by notification_id"
)
_HOLES: Final = (
    "select stream, version from (select originator_id as stream,"
    " generate_series(1, max(originator_version)) as version from events group by originator_id"
    " having max(originator_version) > count(*)) wanted"
    " where not exists (select from events where originator_id = stream"
    " and originator_version = version) limit 20"
)


class DatabaseSource:
    """Reads over one connection; what is asked for is read a stretch at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def seals(self) -> Iterator[Seal]:
        """Give every seal in the order of their numbers."""
        number = -(2**62)
        while rows := self._connection.execute(_SEALS, [number, PAGE], binary=True).fetchall():
            for row in rows:
                yield Seal(
                    number=row[0],
                    first=row[1],
                    last=row[2],
                    count=row[3],
                    positions=row[4],
                    hashes=row[5],
                    previous=row[6],
                    hash=row[7],
                    sealed_at=row[8],
                )
            number = rows[-1][0]

    def rows(self, *, after: int, upto: int) -> Iterable[StoredRow]:
        """Return the events after a position, up to another one, in their order."""
        cursor = self._connection.execute(_ROWS, [after, upto], prepare=True, binary=True)
        return [
            StoredRow(position=position, stream=stream, version=version, type=type_, state=state)
            for position, stream, version, type_, state in cursor
        ]

    def count_after(self, position: int) -> int:
        """Return how many events come after a position."""
        return self._number("select count(*) from events where notification_id > %s", position)

    def head(self) -> int:
        """Return the last position that is sealed."""
        return self._number("select coalesce(max(last_position), %s) from seals", 0)

    def holes(self) -> Iterable[tuple[str, int]]:
        """Give streams that lack a version, with that version: an event was there once."""
        return [(str(stream), int(version)) for stream, version in self._connection.execute(_HOLES)]

    def _number(self, query: Any, *values: object) -> int:
        row = self._connection.execute(query, values).fetchone()
        return 0 if row is None else int(row[0])
