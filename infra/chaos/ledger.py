"""The outside world: a ledger of effects in a process of its own, which nobody kills.

An agent writes a line before its effect and one after it. What the ledger has answered is on disk;
it shares a commit among what arrives together, and knows nothing of Taskloom.
"""

import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import orjson

FILE: Final = "ledger.sqlite"
SOCKET: Final = "TASKLOOM_CHAOS_LEDGER"
"""The variable that tells an agent where the ledger listens."""

HOLDER: Final = "TASKLOOM_CHAOS_HOLDER"
"""The variable that tells an agent's process under which name it writes."""

Moment = Literal["begun", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A line of the ledger."""

    at: float
    moment: Moment
    run_id: str
    task_id: str
    epoch: int
    holder: str
    """Which process wrote it, of which agent."""

    external: bool


_SCHEMA = """
create table if not exists effects (
    at real not null, moment text not null, run_id text not null, task_id text not null,
    epoch integer not null, holder text not null, external integer not null
)
"""


class Ledger:
    """The ledger as an agent sees it: one connection, answers in the order of the questions."""

    def __init__(self, path: str) -> None:
        """Take the path of its socket."""
        self._path = path
        self._writer: asyncio.StreamWriter | None = None
        self._answers: deque[asyncio.Future[None]] = deque()
        self._opening = asyncio.Lock()
        self._listening: asyncio.Task[None] | None = None

    async def write(
        self, moment: Moment, run_id: str, task_id: str, epoch: int, *, external: bool
    ) -> None:
        """Write a line, and return when it is on disk."""
        writer = await self._open()
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        holder = f"{os.environ.get(HOLDER, '')}/{os.getpid()}"
        line = [moment, run_id, task_id, epoch, holder, external]
        writer.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        await answer

    async def close(self) -> None:
        """Leave."""
        if self._listening is not None and self._writer is not None:
            self._writer.close()
            self._listening.cancel()
            await asyncio.wait([self._listening])

    async def _open(self) -> asyncio.StreamWriter:
        async with self._opening:
            if self._writer is None:
                reader, self._writer = await asyncio.open_unix_connection(self._path)
                self._listening = asyncio.create_task(self._listen(reader), name="ledger")
            return self._writer

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while await reader.readline():
                answer = self._answers.popleft()
                if not answer.done():
                    answer.set_result(None)
        finally:
            self._writer = None
            while self._answers:
                self._answers.popleft().cancel()


def read(path: Path) -> Sequence[Effect]:
    """Return every line of a ledger, in the order they were written."""
    with closing(sqlite3.connect(path)) as ledger:
        rows: list[tuple[Any, ...]] = ledger.execute(
            "select at, moment, run_id, task_id, epoch, holder, external from effects"
            " order by rowid"
        ).fetchall()
    return [
        Effect(
            at=at,
            moment=moment,
            run_id=run_id,
            task_id=task_id,
            epoch=epoch,
            holder=holder,
            external=bool(external),
        )
        for at, moment, run_id, task_id, epoch, holder, external in rows
    ]


class _Server:
    def __init__(self, path: Path) -> None:
        self._ledger = sqlite3.connect(path, isolation_level=None)
        self._ledger.execute("pragma journal_mode = wal")
        self._ledger.execute("pragma synchronous = full")
        self._ledger.execute(_SCHEMA)
        self._gathered: list[tuple[asyncio.StreamWriter, list[Any]]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while line := await reader.readline():
                if not self._gathered:
                    asyncio.get_running_loop().call_later(0.002, self._commit)
                self._gathered.append((writer, orjson.loads(line)))
        writer.close()

    def _commit(self) -> None:
        gathered, self._gathered = self._gathered, []
        now = time.time()
        self._ledger.execute("begin")
        self._ledger.executemany(
            "insert into effects values (?, ?, ?, ?, ?, ?, ?)",
            [(now, *line) for _, line in gathered],
        )
        self._ledger.execute("commit")
        for writer, _ in gathered:
            if not writer.is_closing():
                writer.write(b"ok\n")


async def _serve(folder: Path) -> None:
    server = _Server(folder / FILE)
    path = folder / "ledger.sock"
    path.unlink(missing_ok=True)
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with await asyncio.start_unix_server(server.serve, path):
        await told.wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
