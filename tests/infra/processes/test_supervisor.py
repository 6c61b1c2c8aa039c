import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from infra.processes.children import Condition, Patience, Program, Status
from infra.processes.supervisor import Supervisor
from infra.services.errors import ServiceUnavailable
from infra.services.leash import has_ended
from tests.support.waiting import until

QUICK = Patience(first=0.02, cap=0.1, grace=5.0, loop_after=3)

STAY = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\n" + (
    "while True: time.sleep(1)"
)
CRASH = "import sys; print('no such plan', flush=True); sys.exit(3)"
SAY_GOODBYE = """
import pathlib, signal, sys, time
def goodbye(*_):
    with open(sys.argv[1], "a") as out:
        out.write(sys.argv[2] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, goodbye)
print("up", flush=True)
time.sleep(600)
"""
WITH_A_CHILD = """
import subprocess, sys, time
inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(inner.pid, flush=True)
time.sleep(600)
"""
SUPERVISE = """
import asyncio, logging, sys
from pathlib import Path
from infra.processes.children import Patience, Program
from infra.processes.supervisor import Supervisor

async def main() -> None:
    async with Supervisor(Path(sys.argv[1]), patience=Patience(grace=float(sys.argv[3]))) as all_:
        await all_.start(Program(name="a", command=[sys.executable, "-c", sys.argv[2]]))
        await all_.wait_until(lambda: "up" in (all_.logs / "a.log").read_text(), "a is up")
        print(all_.status()[0].pid, flush=True)
        await all_.until_interrupted()
    print("in order", flush=True)

logging.basicConfig(level=logging.INFO)
asyncio.run(main())
"""


def python(name: str, code: str, *args: str) -> Program:
    return Program(name=name, command=[sys.executable, "-c", code, *args])


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    async with Supervisor(tmp_path, patience=QUICK) as supervisor:
        yield supervisor


async def is_up(supervisor: Supervisor, name: str) -> None:
    log = supervisor.logs / f"{name}.log"
    await supervisor.wait_until(lambda: log.read_text() != "", f"{name} is up", seconds=20)


def status(supervisor: Supervisor, name: str) -> Status:
    return next(one for one in supervisor.status() if one.name == name)


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and not has_ended(psutil.Process(pid))


async def test_a_program_that_runs_says_so(supervisor: Supervisor) -> None:
    await supervisor.start(python("stay", STAY))
    await is_up(supervisor, "stay")
    stay = status(supervisor, "stay")
    assert stay.condition is Condition.RUNNING
    assert stay.pid is not None
    assert stay.restarts == 0
    assert stay.rss_bytes > 1_000_000
    assert stay.log.read_text() == "up\n"


async def test_a_program_gets_its_own_environment_besides_ours(supervisor: Supervisor) -> None:
    code = (
        "import os, time; print(os.environ['LOOM'], os.environ['PATH'], flush=True); time.sleep(60)"
    )
    await supervisor.start(
        Program(name="e", command=[sys.executable, "-c", code], env={"LOOM": "up"})
    )
    await is_up(supervisor, "e")
    assert (supervisor.logs / "e.log").read_text() == f"up {os.environ['PATH']}\n"


async def test_a_killed_program_is_started_again(supervisor: Supervisor) -> None:
    await supervisor.start(python("stay", STAY))
    first = status(supervisor, "stay").pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: status(supervisor, "stay").restarts == 1, "it was started again")
    again = status(supervisor, "stay")
    assert again.pid not in (None, first)
    assert again.last_exit == -signal.SIGKILL


async def test_what_a_killed_program_had_started_ends_too(supervisor: Supervisor) -> None:
    await supervisor.start(python("outer", WITH_A_CHILD))
    await is_up(supervisor, "outer")
    inner = int((supervisor.logs / "outer.log").read_text())
    outer = status(supervisor, "outer").pid
    assert outer is not None
    os.kill(outer, signal.SIGKILL)
    await until(lambda: not runs(inner), "its child is gone")


async def test_a_crash_loop_is_told_with_the_last_words(
    supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await supervisor.start(python("crash", CRASH))
        with pytest.raises(ServiceUnavailable, match=r"(?s)crash loop, last exit 3.*no such plan"):
            await supervisor.wait_until(lambda: False, "it works")
    assert any("no such plan" in one.getMessage() for one in caplog.records)
    assert status(supervisor, "crash").condition is Condition.CRASH_LOOP


async def test_what_does_not_become_true_in_time_is_named(supervisor: Supervisor) -> None:
    await supervisor.start(python("stay", STAY))
    with pytest.raises(ServiceUnavailable, match=r"not within 0.1 s: the sun rises"):
        await supervisor.wait_until(lambda: False, "the sun rises", seconds=0.1)


async def test_a_condition_may_be_asked_over_the_network(supervisor: Supervisor) -> None:
    answers = iter([False, True])

    async def ask() -> bool:
        await asyncio.sleep(0)
        return next(answers)

    await supervisor.wait_until(ask, "it answers")


async def test_a_program_that_does_not_exist_is_refused_at_once(supervisor: Supervisor) -> None:
    with pytest.raises(FileNotFoundError):
        await supervisor.start(Program(name="none", command=["/no/such/program"]))


async def test_stages_end_in_reverse_order(tmp_path: Path) -> None:
    book = tmp_path / "book"
    async with Supervisor(tmp_path, patience=QUICK) as supervisor:
        for name in ("first", "second", "third"):
            await supervisor.start(python(name, SAY_GOODBYE, str(book), name))
            await is_up(supervisor, name)
    assert book.read_text().split() == ["third", "second", "first"]


async def test_a_program_that_does_not_end_is_killed_after_the_grace(tmp_path: Path) -> None:
    pid: int | None = None
    patience = Patience(grace=0.1)
    async with Supervisor(tmp_path, patience=patience) as supervisor:
        await supervisor.start(python("stubborn", STUBBORN))
        await is_up(supervisor, "stubborn")
        pid = status(supervisor, "stubborn").pid
    assert pid is not None
    assert not runs(pid)


async def test_a_program_that_waits_to_start_again_ends_at_once(tmp_path: Path) -> None:
    patience = Patience(first=600.0, cap=600.0)
    async with Supervisor(tmp_path, patience=patience) as supervisor:
        await supervisor.start(python("crash", CRASH))
        await until(
            lambda: status(supervisor, "crash").condition is Condition.WAITING, "it has crashed"
        )
    assert supervisor.status() == []


async def test_the_log_of_the_start_before_is_kept(tmp_path: Path) -> None:
    for word in ("before", "after"):
        async with Supervisor(tmp_path, patience=QUICK) as supervisor:
            await supervisor.start(python("say", f"print('{word}')\n{STAY}"))
            await is_up(supervisor, "say")
    assert "after" in (tmp_path / "logs" / "say.log").read_text()
    assert "before" in (tmp_path / "logs" / "say.log.1").read_text()


async def test_two_supervisors_do_not_share_a_state_folder(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    with pytest.raises(ServiceUnavailable, match=f"in use by process {os.getpid()}"):
        async with Supervisor(tmp_path):
            pass


async def started(state: Path, code: str, grace: float) -> tuple[asyncio.subprocess.Process, int]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SUPERVISE, str(state), code, str(grace)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    return process, int(await process.stdout.readline())


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
async def test_one_signal_ends_everything_in_order(tmp_path: Path, by: signal.Signals) -> None:
    process, pid = await started(tmp_path, STAY, 10.0)
    process.send_signal(by)
    rest, _ = await process.communicate()
    assert (process.returncode, rest) == (0, b"in order\n")
    assert not runs(pid)


async def test_a_second_signal_does_not_wait_for_the_grace(tmp_path: Path) -> None:
    process, pid = await started(tmp_path, STUBBORN, 600.0)
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    assert b"once more" in await process.stderr.readline()
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert process.returncode == 0
    assert not runs(pid)


async def test_a_killed_supervisor_takes_its_programs_with_it(tmp_path: Path) -> None:
    process, pid = await started(tmp_path, STUBBORN, 10.0)
    process.kill()
    await process.communicate()
    await until(lambda: not runs(pid), "the program is gone")


def test_pauses_double_up_to_the_cap_and_are_spread() -> None:
    patience = Patience(first=1.0, cap=8.0)
    for crashes, whole in ((1, 1.0), (2, 2.0), (4, 8.0), (9, 8.0), (10_000, 8.0)):
        assert whole / 2 <= patience.pause(crashes) <= whole
