"""A program that is kept running, when its process is in a state that few are ever in."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from infra.processes.children import Child, Patience, Program
from infra.processes.nursery import Forked, Nursery
from tests.support.waiting import until


class Slow(Nursery):
    """Gives its children no group of their own, as a machine without time for them does."""

    def starts(self, command: Sequence[str]) -> bool:
        return bool(command)

    async def start(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str], log: Path
    ) -> Forked:
        process = await asyncio.create_subprocess_exec(*command)
        forked = Forked(process.pid)
        asyncio.get_running_loop().create_task(self._tell(process, forked))
        return forked

    async def _tell(self, process: asyncio.subprocess.Process, forked: Forked) -> None:
        forked.end(await process.wait())


async def test_who_stands_still_before_it_has_a_group_is_replaced_and_ended(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    child = Child(
        Program(name="late", command=command),
        log=tmp_path / "log",
        patience=Patience(first=0.01, grace=0.2),
        nursery=Slow(),
    )
    await child.start()
    first = child.status().pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    child.replace("it does not answer")
    await until(lambda: child.status().restarts == 1, "another one runs")
    second = child.status().pid
    assert second not in (None, first)
    await child.end(asyncio.Event())
    assert child.status().last_exit == -signal.SIGTERM
    assert not psutil.pid_exists(first)
