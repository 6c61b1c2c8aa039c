"""The log, as the verbs that read it find it."""

from collections.abc import AsyncIterator

import psycopg

from bus.ports import Log
from domain.policies import Event
from domain.recorded import Recorded

PAGE = 500


def last_position(dsn: str) -> int:
    """Return where the log ends now; 0 where nothing is recorded yet."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select coalesce(max(notification_id), 0) from events").fetchone()
    return 0 if row is None else int(row[0])


async def events_of(log: Log, *, after: int = 0) -> AsyncIterator[Recorded[Event]]:
    """Give every event after a position, up to the end of the log."""
    while events := await log.read_all(after=after, limit=PAGE):
        for recorded in events:
            yield recorded
        after = events[-1].position


def position_before_last(dsn: str, count: int) -> int:
    """Return the position after which so many events come, or 0 where there are fewer."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select notification_id from events order by notification_id desc offset %s limit 1",
            [count],
        ).fetchone()
    return 0 if row is None else int(row[0])
