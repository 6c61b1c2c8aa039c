"""Keeps the processes of ``taskloom up`` and ``taskloom demo`` running, and ends them together.

Each program runs in a session of its own, writes to ``<state>/logs/<name>.log``, is started again
when it crashes, and is killed by the kernel should we die without a word (Linux). The first Ctrl-C
or SIGTERM ends all in the reverse order of their start; a second one does not wait.

    async with Supervisor(state_dir) as supervisor:
        await supervisor.start(coordinator, projector)
        await supervisor.start(api)
        await supervisor.wait_until(answers, "the API answers")
        await supervisor.until_interrupted()
"""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.processes.children import Child, Condition, Patience, Program, Status
from infra.processes.nursery import Nursery
from infra.services.errors import ServiceUnavailable
from infra.services.leash import tail
from infra.services.lock import FolderLock

_LOG = logging.getLogger(__name__)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Supervisor:
    """Programs that start, run and end together; to be entered in the main thread."""

    def __init__(
        self,
        state_dir: Path,
        *,
        patience: Patience | None = None,
        nursery: Nursery | None = None,
    ) -> None:
        self.logs = state_dir / "logs"
        """Where each program's log is."""
        self._lock = FolderLock(state_dir, "taskloom")
        self._patience = patience or Patience()
        self._nursery = nursery
        self._stages: list[list[Child]] = []
        self._owner: asyncio.Task[object] | None = None
        self._is_interrupted = False
        self._is_stopping = False
        self._hurry = asyncio.Event()

    async def start(self, *programs: Program) -> None:
        """Start programs as one stage; stages end in reverse order, a stage's programs together.

        Raises:
            OSError: One of them does not exist.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        stage: list[Child] = []
        self._stages.append(stage)
        for program in programs:
            log = self.logs / f"{program.name}.log"
            child = Child(program, log=log, patience=self._patience, nursery=self._nursery)
            await child.start()
            stage.append(child)

    def status(self) -> list[Status]:
        """Say how every program is, in the order of their start."""
        return [child.status() for stage in self._stages for child in stage]

    def replace(self, name: str, why: str) -> None:
        """Kill the process of a program that hangs; it starts again as after any crash."""
        for stage in self._stages:
            for child in stage:
                if child.program.name == name:
                    child.replace(why)

    async def wait_until(
        self,
        predicate: Callable[[], bool | Awaitable[bool]],
        what: str,
        *,
        seconds: float = 60.0,
        every: float = 0.05,
    ) -> None:
        """Wait until something is true of the programs.

        Raises:
            ServiceUnavailable: It does not become true in time, or a program is in a crash loop;
                the message ends with the log of what does not run.
        """
        deadline = time.monotonic() + seconds
        while not await _holds(predicate):
            unwell = [one for one in self.status() if one.condition is not Condition.RUNNING]
            if any(one.condition is Condition.CRASH_LOOP for one in unwell):
                raise ServiceUnavailable("taskloom", f"not {what}{_last_words(unwell)}")
            if time.monotonic() > deadline:
                raise ServiceUnavailable(
                    "taskloom", f"not within {seconds:g} s: {what}{_last_words(unwell)}"
                )
            await asyncio.sleep(every)

    async def until_interrupted(self) -> None:
        """Stay here until Ctrl-C or SIGTERM, which leave the ``async with`` block."""
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """End every program, the last stage first; a signal from here on makes it kill."""
        self._is_stopping = True
        while self._stages:
            await asyncio.gather(*(child.end(self._hurry) for child in self._stages[-1]))
            self._stages.pop()

    async def __aenter__(self) -> Self:
        self._lock.acquire()
        self._owner = asyncio.current_task()
        for one in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(one, self._interrupt)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        by_signal = self._is_interrupted
        self._is_stopping = True
        try:
            await self.stop()
        finally:
            for one in _SIGNALS:
                asyncio.get_running_loop().remove_signal_handler(one)
            self._lock.release()
        if by_signal and kind is asyncio.CancelledError and self._owner:
            # The signal has been obeyed: what follows the block is not cancelled.
            return self._owner.uncancel() == 0
        return False

    def _interrupt(self) -> None:
        if self._is_interrupted or self._is_stopping:
            self._hurry.set()
        elif self._owner:
            self._is_interrupted = True
            _LOG.info("everything ends; interrupt once more to kill what takes its time")
            self._owner.cancel()


async def _holds(predicate: Callable[[], bool | Awaitable[bool]]) -> bool:
    answer = predicate()
    return answer if isinstance(answer, bool) else await answer


def _last_words(unwell: list[Status]) -> str:
    return "".join(
        f"\n{one.name}: {one.condition}, last exit {one.last_exit} ({one.log})\n{tail(one.log)}"
        for one in unwell
    )
