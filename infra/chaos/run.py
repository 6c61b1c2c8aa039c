"""One run of chaos: set up, warm up, break, heal, drain, read, judge.

Everything about it is in its folder. A run that was interrupted, or whose time was over, goes on
from there: what was acknowledged, what fired and what was planted is read from its history.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from bus.together import end
from domain.errors import Refused, Unavailable
from infra.chaos import evidence, history
from infra.chaos.drain import drain
from infra.chaos.history import History, Line
from infra.chaos.nemesis import Nemesis, Quotas
from infra.chaos.versions import versions
from infra.chaos.watcher import Watcher
from infra.chaos.workload import Workload
from infra.chaos.world import Size, World, opened
from projections.catalog import VIEWS

WARM_S: Final = 45.0
DRAIN_S: Final = 180.0
_TELL_EVERY_S: Final = 5.0
_FOLDING: Final = 3
"""Views that are folded again at a time."""


Tell = Callable[[str], None]


class NotWarm(Unavailable):
    """The stack does not work even before anything is broken."""

    code = "not-warm"


class NoSuchRun(Refused):
    """A folder holds no run that could go on."""

    code = "no-such-run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run is to do."""

    seed: str
    tasks: int
    minutes: float
    quotas: Quotas
    size: Size = field(default_factory=Size)
    open_tasks: int = 1_500
    env: Mapping[str, str] = field(default_factory=dict[str, str])

    def said(self) -> Mapping[str, Any]:
        """Return it as the history keeps it."""
        return {
            "seed": self.seed,
            "tasks": self.tasks,
            "kills": self.quotas.kills,
            "hits": self.quotas.hits,
            "restarts": self.quotas.restarts,
            "only": sorted(self.quotas.only),
            "times": self.quotas.times,
            "faults": self.quotas.wanted(),
            "settings": {
                name: value
                for name, value in sorted({**os.environ, **self.env}.items())
                if name.startswith("TASKLOOM_AGENTS__")
            },
        }


def plan_of(folder: Path, *, minutes: float) -> Plan:
    """Return the plan of a run that is to go on.

    Raises:
        NoSuchRun: There is none in this folder.
    """
    runs = [line for line in history.read(folder / history.FILE) if line.what == "run"]
    if not runs:
        raise NoSuchRun(f"{folder} holds no run")
    said = runs[-1].said
    quotas = Quotas(
        kills=said["kills"],
        hits=said["hits"],
        restarts=said["restarts"],
        only=said["only"],
        times=said["times"],
    )
    return Plan(seed=said["seed"], tasks=said["tasks"], minutes=minutes, quotas=quotas)


async def run(folder: Path, plan: Plan, *, tell: Tell) -> None:
    """Do what a plan says, or go on with it, and leave the evidence in the folder, which exists.

    Raises:
        NotWarm: The stack does not work before anything is broken.
    """
    before = list(history.read(folder / history.FILE))
    with History(folder) as written:
        written.write("run", plan.seed, **plan.said(), versions=versions())
        tell(f"starting PostgreSQL, RabbitMQ and the stack in {folder}")
        async with opened(folder, written, size=plan.size, env=plan.env) as world:
            await world.start_all()
            watcher = Watcher(world.dsn)
            workload = Workload(
                world, watcher, seed=plan.seed, open_tasks=plan.open_tasks, has_external=True
            )
            workload.resume(before)
            watching = asyncio.create_task(watcher.run(), name="watcher")
            submitting = asyncio.create_task(workload.run(), name="workload")
            try:
                await _chaos(world, watcher, workload, plan, before, tell)
            finally:
                await end((submitting, watching))
            await _read(world, folder, tell)


async def _chaos(
    world: World,
    watcher: Watcher,
    workload: Workload,
    plan: Plan,
    before: Sequence[Line],
    tell: Tell,
) -> None:
    written = world.history
    nemesis = Nemesis(
        world, watcher, workload, quotas=plan.quotas, seed=f"{plan.seed}/{len(before)}"
    )
    nemesis.resume(before)
    began = time.monotonic()
    written.write("phase", "warm")
    workload.wanted = max(plan.tasks, workload.tasks)
    await _warm(watcher, min(100, plan.tasks // 2))
    written.write("phase", "chaos", warm_s=time.monotonic() - began)
    telling = asyncio.create_task(_tell(tell, nemesis, workload, watcher, began))
    with suppress(TimeoutError):
        async with asyncio.timeout(plan.minutes * 60):
            await _play(nemesis, workload, plan)
    nemesis.now = "healed; what was accepted has to end"
    world.heal()
    written.write("phase", "drain", broken_s=time.monotonic() - began)
    workload.wanted = 0
    healed = time.monotonic()
    left = await drain(world, watcher, workload, seconds=DRAIN_S)
    written.write("drained", plan.seed, left=left, seconds=time.monotonic() - healed)
    await end([telling])
    tell(f"drained in {time.monotonic() - healed:.0f} s; {left or 'nothing is left'}")


async def _warm(watcher: Watcher, tasks: int) -> None:
    deadline = time.monotonic() + WARM_S
    while watcher.completed < tasks:
        if not await watcher.progress(seconds=WARM_S) or time.monotonic() > deadline:
            raise NotWarm(f"{watcher.completed} tasks in {WARM_S:g} s, and nothing is broken")


async def _play(nemesis: Nemesis, workload: Workload, plan: Plan) -> None:
    """Break things while there is work, and have work while there is something to break."""
    playing = asyncio.create_task(nemesis.run(), name="nemesis")
    try:
        while not playing.done() or workload.tasks < plan.tasks:
            if not playing.done():
                workload.wanted = max(plan.tasks, workload.tasks + 200)
            await asyncio.sleep(0.1)
        await playing
    finally:
        await end([playing])


async def _read(world: World, folder: Path, tell: Tell) -> None:
    """Fold every view again, and write down all that the database holds."""
    tell("folding every view again")
    free = asyncio.Semaphore(_FOLDING)

    async def verify(view: str) -> Sequence[Mapping[str, Any]]:
        async with free:
            asked = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "infra.cli", "projection", "verify", view, "--json"),
                # The world's keys of persons, too.
                env={**os.environ, **world.env, "TASKLOOM_DB__DSN": world.dsn},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
            )
            out, _ = await asked.communicate()
        verdicts: Sequence[Mapping[str, Any]] = orjson.loads(out) if out else []
        return verdicts or [{"view": view, "rows": 0, "different": 1, "examples": "no answer"}]

    answers = await asyncio.gather(*(verify(view.name) for view in VIEWS))
    rebuilt = [one for verdicts in answers for one in verdicts]
    world.history.write("rebuilt", "views", verdicts=rebuilt)
    await asyncio.to_thread(evidence.gather, folder, world.dsn, rebuilt)


async def _tell(
    tell: Tell, nemesis: Nemesis, workload: Workload, watcher: Watcher, began: float
) -> None:
    while True:
        await asyncio.sleep(_TELL_EVERY_S)
        done = sum(nemesis.fired.values())
        tell(
            f"{time.monotonic() - began:5.0f} s  {watcher.completed}/{workload.tasks} tasks,"
            f" {done}/{done + nemesis.left} faults, now {nemesis.now}"
        )
