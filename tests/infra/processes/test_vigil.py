"""An agent that hangs is started again, and nobody else is."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.processes.children import Condition, Status
from infra.processes.supervisor import Supervisor
from infra.processes.vigil import Vigil
from tests.bus.test_health import heartbeat
from tests.infra.processes.test_supervisor import QUICK, STAY, is_up, python, status
from tests.support.waiting import until


@dataclass
class Scene:
    """A vigil over two agents that a supervisor runs, and over nobody else."""

    supervisor: Supervisor
    vigil: Vigil
    beating: set[str] = field(default_factory=lambda: {"ann", "bob"})
    faint: set[str] = field(default_factory=set[str])
    """Those that beat only for a moment after they were born."""

    is_heard: bool = True

    async def go_on(self) -> None:
        while True:
            if self.is_heard:
                self.vigil.hear_itself()
                for name in self.beating:
                    if name not in self.faint or self.age(name) < 0.5:
                        self.vigil.hear(heartbeat(name))
            self.vigil.look()
            await asyncio.sleep(0.05)

    def age(self, name: str) -> float:
        return status(self.supervisor, name).uptime_seconds

    def restarts(self, name: str) -> int:
        return status(self.supervisor, name).restarts


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with Supervisor(tmp_path, patience=QUICK) as supervisor:
        vigil = Vigil(
            ["ann", "bob"],
            statuses=supervisor.status,
            replace=supervisor.replace,
            hung_after=1.0,
        )
        scene = Scene(supervisor, vigil)
        for name in ("ann", "bob", "core"):
            await supervisor.start(python(name, STAY))
            await is_up(supervisor, name)
        going = asyncio.create_task(scene.go_on())
        await asyncio.sleep(0.2)
        yield scene
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)


async def test_an_agent_that_stands_still_is_started_again(scene: Scene) -> None:
    pid = status(scene.supervisor, "ann").pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    scene.beating.discard("ann")
    await until(lambda: scene.restarts("ann") == 1, "ann is started again")
    assert status(scene.supervisor, "ann").last_exit == -signal.SIGKILL
    scene.beating.add("ann")
    await asyncio.sleep(1.5)
    assert [scene.restarts(name) for name in ("ann", "bob", "core")] == [1, 0, 0]


async def test_one_that_hangs_again_and_again_is_a_crash_loop(scene: Scene) -> None:
    scene.faint.add("ann")
    await until(
        lambda: status(scene.supervisor, "ann").condition is Condition.CRASH_LOOP,
        "ann is in a crash loop",
    )
    assert scene.restarts("bob") == 0


async def test_while_nobody_can_be_heard_nobody_hangs(scene: Scene) -> None:
    scene.is_heard = False
    await asyncio.sleep(1.5)
    scene.is_heard = True
    await asyncio.sleep(0.5)
    assert [scene.restarts(name) for name in ("ann", "bob")] == [0, 0]


async def test_an_agent_that_has_not_been_heard_yet_is_given_time(scene: Scene) -> None:
    new = Status(
        name="ann",
        condition=Condition.RUNNING,
        pid=1,
        restarts=0,
        uptime_seconds=50.0,
        rss_bytes=1,
        last_exit=None,
        log=Path("x"),
    )
    replaced: list[str] = []
    vigil = Vigil(
        ["ann"],
        statuses=lambda: [new],
        replace=lambda name, _: replaced.append(name),
        hung_after=1.0,
    )
    vigil.hear_itself()
    vigil.look()
    assert replaced == []
