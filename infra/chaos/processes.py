"""Taskloom's processes, forked, killed, stopped and started again at once.

A supervisor for production waits longer after each crash; this one has to be killed hundreds of
times. What ends without having been told to is written down: nobody may say later that it was ours.
"""

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from infra.chaos.history import History
from infra.chaos.points import Kind
from infra.processes.nursery import COMMAND, Forked, Nursery

HITS = "hits.jsonl"
_AGAIN = 0.25
"""Seconds before the next start of what ended within a second of its start."""


@dataclass(slots=True, kw_only=True)
class Process:
    """A process that is to run, and the one that runs now."""

    name: str
    kind: Kind
    arguments: Sequence[str]
    env: Mapping[str, str]
    forked: Forked | None = None
    since: float = 0.0
    told: str = ""
    """Why it may end now; empty when nobody has told it to."""

    is_wanted: bool = True
    started: asyncio.Event = field(default_factory=asyncio.Event)
    keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Its number, 0 between two starts."""
        running = self.forked
        return running.pid if running is not None and running.returncode is None else 0


class Processes:
    """All of them."""

    def __init__(self, folder: Path, history: History) -> None:
        self.folder = folder
        self.hits = folder / HITS
        self.every: dict[str, Process] = {}
        self._history = history
        self._nursery = Nursery()
        self._logs = folder / "logs"
        self._armed = folder / "armed"

    async def __aenter__(self) -> Self:
        self._logs.mkdir(exist_ok=True)
        self._armed.mkdir(exist_ok=True)
        await self._nursery.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self.every.values():
            if process.keeping is not None:
                process.keeping.cancel()
        for process in self.every.values():
            send(process, signal.SIGKILL)
        await self._nursery.__aexit__(kind, error, trace)

    async def start(
        self, name: str, kind: Kind, *arguments: str, env: Mapping[str, str]
    ) -> Process:
        """Start a process and keep it running until it is stopped."""
        env = {
            **env,
            "TASKLOOM_CHAOS": "1",
            "TASKLOOM_FAIL": f"@{self._armed / name}",
            "TASKLOOM_FAIL_LOG": str(self.hits),
        }
        process = Process(name=name, kind=kind, arguments=arguments, env=env)
        self.every[name] = process
        await self._fork(process)
        process.keeping = asyncio.create_task(self._keep(process), name=f"keep {name}")
        return process

    def of(self, kind: Kind) -> Sequence[Process]:
        """Return those of a kind that run now."""
        return [one for one in self.every.values() if one.kind == kind and one.pid]

    def arm(self, process: Process, failpoints: str) -> None:
        """Make a process that runs fail at a place; an empty text disarms it."""
        file = self._armed / process.name
        part = file.with_suffix(".part")
        part.write_text(failpoints)
        part.replace(file)

    async def ended(self, forked: Forked, seconds: float) -> bool:
        """Wait for a process to end, and say whether it has."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await forked.wait()
        return forked.returncode is not None

    async def any_ended(self, some: Sequence[Forked], *, seconds: float) -> None:
        """Return when one of them has ended, or after so many seconds."""
        waiting = [asyncio.ensure_future(one.wait()) for one in some]
        if waiting:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()

    async def kill(self, process: Process, why: str = "killed") -> None:
        """Kill a process as the kernel would; it is started again at once."""
        if (forked := process.forked) is not None and process.pid:
            process.told = why
            send(process, signal.SIGKILL)
            await forked.wait()

    async def stop(self, process: Process, *, seconds: float) -> float | None:
        """Ask a process to end and return how long it took, None if it had to be killed."""
        forked = process.forked
        if forked is None or not process.pid:
            return 0.0
        process.told = "stopped"
        began = time.monotonic()
        send(process, signal.SIGTERM)
        if await self.ended(forked, seconds):
            return time.monotonic() - began
        send(process, signal.SIGKILL)
        await forked.wait()
        return None

    async def end(self, process: Process) -> None:
        """Kill a process, and start it no more."""
        process.is_wanted = False
        await self.kill(process, "ended")

    async def running(self, process: Process) -> None:
        """Return when the process runs, perhaps again."""
        while not process.pid:
            process.started.clear()
            await process.started.wait()

    async def _keep(self, process: Process) -> None:
        while process.is_wanted:
            forked = process.forked
            if forked is None:
                return
            code = await forked.wait()
            self._note_death(process, forked, code)
            if not process.is_wanted:
                return
            if time.monotonic() - process.since < 1:
                await asyncio.sleep(_AGAIN)
            await self._fork(process)

    def _note_death(self, process: Process, forked: Forked, code: int) -> None:
        self.arm(process, "")
        why, process.told = process.told, ""
        if not why and code == -signal.SIGKILL and (place := hit_of(self.hits, forked.pid)):
            why = place
        self._history.write("death", process.name, pid=forked.pid, code=code, why=why)

    async def _fork(self, process: Process) -> None:
        process.forked = await self._nursery.start(
            process.name,
            [*COMMAND, *process.arguments],
            env=process.env,
            log=self._logs / f"{process.name}.log",
        )
        process.since = time.monotonic()
        process.started.set()


def send(process: Process, by: signal.Signals) -> None:
    """Send a signal to a process, if it runs."""
    if process.pid:
        with suppress(ProcessLookupError):
            os.kill(process.pid, by)


def hit_of(hits: Path, pid: int) -> str:
    """Return the place where a process was made to die, or nothing."""
    if not hits.exists():
        return ""
    for line in reversed(hits.read_bytes().splitlines()[-50:]):
        hit: dict[str, object] = orjson.loads(line)
        if hit["pid"] == pid and hit["mode"] == "kill":
            return str(hit["point"])
    return ""
