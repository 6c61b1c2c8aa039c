"""Follows the log past every proxy, and knows how far the work is."""

import asyncio
from contextlib import suppress
from typing import Any

import psycopg

from infra.chaos.checker import RUN_ENDS

_EVERY = 0.1
_PAGE = 5_000


class Watcher:
    """What has been recorded so far, as far as a harness has to know it."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.position = 0
        self.completed = 0
        """Tasks of executions."""

        self.ended: set[str] = set()
        """Runs."""

        self.views = 0
        """The position that every view has reached."""

        self._progress = asyncio.Event()

    async def run(self) -> None:
        """Follow until cancelled; while the database is away there is nothing to see."""
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self._dsn, autocommit=True, connect_timeout=2
                )
                async with connection:
                    while True:
                        if not await self.look(connection):
                            await asyncio.sleep(_EVERY)
            except psycopg.Error:
                await asyncio.sleep(_EVERY)

    async def progress(self, *, seconds: float) -> bool:
        """Return when one more task is completed, or whether none was in so many seconds."""
        self._progress.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._progress.wait()
        return self._progress.is_set()

    async def seen(self, position: int, *, seconds: float) -> None:
        """Return when every view shows a position, or after so many seconds."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self.views < position and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 # it is another process's
            await asyncio.sleep(_EVERY / 2)

    async def look(self, connection: psycopg.AsyncConnection[Any]) -> bool:
        """Read what is new, and say whether there may be more."""
        cursor = await connection.execute(
            "select notification_id, originator_id, topic from events"
            " where notification_id > %s order by notification_id limit %s",
            [self.position, _PAGE],
        )
        rows = await cursor.fetchall()
        for position, stream, topic in rows:
            self.position = position
            if topic == "task.completed":
                self.completed += 1
                self._progress.set()
            elif topic in RUN_ENDS:
                self.ended.add(stream)
        cursor = await connection.execute(
            "select coalesce(min(position), 0) from positions where follower like 'view.%%'"
        )
        row = await cursor.fetchone()
        self.views = 0 if row is None else int(row[0])
        return len(rows) == _PAGE
