import asyncio
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from infra.processes.children import Child, Patience, Program
from infra.processes.nursery import COMMAND, Nursery, NurseryGone
from infra.services.leash import has_ended
from tests.support.waiting import until

LONG = (*COMMAND, "serve", "broker")


def leads_a_session(pid: int) -> bool:
    return os.getsid(pid) == pid


def broker(port: int) -> dict[str, str]:
    return {"TASKLOOM_AMQP__URL": f"amqp://guest:guest@127.0.0.1:{port}/"}


async def test_a_command_runs_with_its_own_environment_and_log(tmp_path: Path) -> None:
    async with Nursery() as nursery:
        child = await nursery.start(
            "one",
            [*COMMAND, "config", "show"],
            env={"TASKLOOM_HTTP__PORT": "4321"},
            log=tmp_path / "one.log",
        )
        assert await child.wait() == 0
    assert "TASKLOOM_HTTP__PORT=4321" in (tmp_path / "one.log").read_text()
    assert os.environ.get("TASKLOOM_HTTP__PORT") != "4321"


async def test_the_exit_code_of_a_command_is_told(tmp_path: Path) -> None:
    async with Nursery() as nursery:
        child = await nursery.start(
            "one", [*COMMAND, "no-such-verb"], env={}, log=tmp_path / "one.log"
        )
        assert await child.wait() == 2


async def test_each_child_is_a_process_with_a_name_and_a_session_of_its_own(
    tmp_path: Path,
) -> None:
    async with Nursery() as nursery:
        children = [
            await nursery.start(name, LONG, env=broker(0), log=tmp_path / f"{name}.log")
            for name in ("cad_worker_001", "sim_worker_001")
        ]
        assert len({child.pid for child in children}) == 2
        for child in children:
            await until(partial(leads_a_session, child.pid), "it leads its session")
        await until(
            lambda: psutil.Process(children[0].pid).name().startswith("cad_worker"), "it is named"
        )
        os.kill(children[0].pid, signal.SIGKILL)
        assert await children[0].wait() == -signal.SIGKILL
        assert not has_ended(psutil.Process(children[1].pid))
    await until(lambda: not psutil.pid_exists(children[1].pid), "it dies with the nursery")


async def test_a_child_is_started_anew_where_the_nursery_has_died(tmp_path: Path) -> None:
    async with Nursery() as nursery:
        program = Program(name="broker", command=LONG, env=broker(0))
        child = Child(
            program, log=tmp_path / "broker.log", patience=Patience(first=0.02), nursery=nursery
        )
        await child.start()
        first = child.status().pid
        assert first is not None
        psutil.Process(first).parent().kill()  # type: ignore[union-attr] # it has one
        await until(lambda: child.status().pid not in (None, first), "it runs again")
        await child.end(asyncio.Event())


async def test_commands_of_others_are_not_the_nurserys(tmp_path: Path) -> None:
    async with Nursery() as nursery:
        assert nursery.starts(LONG)
        other = [sys.executable, "-c", "pass"]
        assert not nursery.starts(other)
        with pytest.raises(NurseryGone):
            await nursery.start("one", other, env={}, log=tmp_path / "one.log")


def test_nothing_that_is_imported_before_forking_starts_a_thread() -> None:
    code = (
        "import threading, importlib\n"
        "from infra.processes.nursery import _PRELOADED\n"
        "for name in _PRELOADED: importlib.import_module(name)\n"
        "print(threading.active_count())"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "1\n"
