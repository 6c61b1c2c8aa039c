"""One program kept running: started, watched, started again, ended."""

import asyncio
import logging
import os
import random
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import psutil

from infra.processes.nursery import Nursery, NurseryGone
from infra.services.leash import die_with_parent, rotate, tail

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run, under which name."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    """Added to our own environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait before starting again and for an end, in seconds."""

    first: float = 0.5
    cap: float = 30.0
    calm: float = 60.0
    """Up for this long, a program starts with a clean slate."""
    grace: float = 10.0
    """Between asking to end and killing."""
    loop_after: int = 5
    """How many crashes without calm between them are a crash loop."""

    def pause(self, crashes: int) -> float:
        """Return the pause after so many crashes in a row: doubled, capped, 50 to 100 % of it."""
        whole = min(self.cap, self.first * 2.0 ** min(crashes - 1, 16))
        return whole * random.uniform(0.5, 1.0)  # noqa: S311 - spreads restarts, guards nothing


class Condition(StrEnum):
    """How a program is."""

    RUNNING = "running"
    WAITING = "waiting to start again"
    CRASH_LOOP = "crash loop"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a program is, for people and for ``taskloom up``."""

    name: str
    condition: Condition
    pid: int | None
    restarts: int
    uptime_seconds: float
    rss_bytes: int
    last_exit: int | None
    """The exit code of the run before; negative is the signal that ended it."""
    log: Path


class Process(Protocol):
    """A process that was started, however it was."""

    @property
    def pid(self) -> int:
        """Its number."""
        ...

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs."""
        ...

    async def wait(self) -> int:
        """Return when it has ended."""
        ...


class Child:
    """One program and the process that runs it now."""

    def __init__(
        self, program: Program, *, log: Path, patience: Patience, nursery: Nursery | None = None
    ) -> None:
        self.program = program
        self.log = log
        self._patience = patience
        self._nursery = nursery
        self._process: Process | None = None
        self._since = 0.0
        self._restarts = 0
        self._crashes = 0
        self._last_exit: int | None = None
        self._watch: asyncio.Task[None] | None = None
        self._ending = False

    async def start(self) -> None:
        """Start the program for the first time.

        Raises:
            OSError: There is no such program.
        """
        rotate(self.log)
        await self._launch()
        self._watch = asyncio.create_task(self._keep_running(), name=f"keep {self.program.name}")

    async def end(self, now: asyncio.Event) -> None:
        """Ask the program to end, and kill its group after the grace or when told ``now``."""
        self._ending = True
        process, watch = self._process, self._watch
        if watch is None:
            return
        if process is None or process.returncode is not None:  # between two starts
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
            return
        _signal(process, signal.SIGTERM)
        told = asyncio.create_task(now.wait())
        await asyncio.wait(
            {watch, told}, timeout=self._patience.grace, return_when=asyncio.FIRST_COMPLETED
        )
        told.cancel()
        if not watch.done():
            _LOG.warning("%s does not end and is killed", self.program.name)
            _signal(process, signal.SIGKILL)
        await watch

    def replace(self, why: str) -> None:
        """Kill the process of the program, which does not answer, so that another one starts."""
        process = self._process
        if self._ending or process is None or process.returncode is not None:
            return
        _LOG.warning("%s hangs (%s) and is killed", self.program.name, why)
        _signal(process, signal.SIGKILL)

    def status(self) -> Status:
        """Say how the program is now."""
        process = self._process
        running = process is not None and process.returncode is None
        return Status(
            name=self.program.name,
            condition=self._condition(running=running),
            pid=process.pid if process and running else None,
            restarts=self._restarts,
            uptime_seconds=time.monotonic() - self._since if running else 0.0,
            rss_bytes=_rss(process.pid) if process and running else 0,
            last_exit=self._last_exit,
            log=self.log,
        )

    def _condition(self, *, running: bool) -> Condition:
        if self._crashes >= self._patience.loop_after:
            return Condition.CRASH_LOOP
        if running:
            return Condition.RUNNING
        return Condition.ENDED if self._ending else Condition.WAITING

    async def _launch(self) -> None:
        program, nursery = self.program, self._nursery
        if nursery is not None and nursery.starts(program.command):
            with suppress(NurseryGone):
                self._process = await nursery.start(
                    program.name, program.command, env=program.env, log=self.log
                )
                self._since = time.monotonic()
                return
        with self.log.open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                *self.program.command,
                env={**os.environ, **self.program.env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
                # Ctrl-C is for us: we end them in order.
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
        self._since = time.monotonic()

    async def _keep_running(self) -> None:
        while True:
            await self._until_it_ends()
            if self._ending:
                return
            pause = self._after_crash()
            await asyncio.sleep(pause)
            try:
                await self._launch()
            except OSError as error:
                _LOG.error("%s cannot be started: %s", self.program.name, error)
            else:
                self._restarts += 1

    async def _until_it_ends(self) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            calm = asyncio.get_running_loop().call_later(self._patience.calm, self._forgive)
            await process.wait()
            calm.cancel()
        self._last_exit = process.returncode
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # what it started and did not end

    def _forgive(self) -> None:
        self._crashes = 0

    def _after_crash(self) -> float:
        self._crashes += 1
        pause = self._patience.pause(self._crashes)
        uptime = time.monotonic() - self._since
        _LOG.warning(
            "%s ended with %s after %.1f s and starts again in %.1f s",
            self.program.name,
            self._last_exit,
            uptime,
            pause,
        )
        if self._crashes == self._patience.loop_after:
            _LOG.error(
                "%s is in a crash loop; its last words (%s):\n%s",
                self.program.name,
                self.log,
                tail(self.log),
            )
        return pause


def _signal(process: Process, by: signal.Signals) -> None:
    """Signal a process that runs, and what it has started."""
    with suppress(ProcessLookupError, PermissionError):
        try:
            os.killpg(process.pid, by)  # the group has the number of its first process
        except ProcessLookupError:
            os.kill(process.pid, by)  # one that was forked just now has no group of its own yet


def _rss(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
