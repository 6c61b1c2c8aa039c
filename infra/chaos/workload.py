"""Users who submit graphs, as many as the stack can take, and repeat what was not answered.

What was answered with 2xx is acknowledged: from there on it may not get lost.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Any, Final

import httpx2

from infra.chaos.agent import TYPE
from infra.chaos.history import Line
from infra.chaos.watcher import Watcher
from infra.chaos.world import World

Json = dict[str, Any]

FIRST: Final = "t00000"
"""A task of every graph."""

LARGE: Final = (250, 420)
SMALL: Final = (5, 25)
_AGAIN = 0.2
_TIMEOUT = 5.0


class Workload:
    """Keeps about so many tasks open until there is no more to submit."""

    def __init__(
        self,
        world: World,
        watcher: Watcher,
        *,
        seed: str,
        open_tasks: int = 1_500,
        large: tuple[int, int] = LARGE,
        has_external: bool = False,
    ) -> None:
        self._world = world
        self._watcher = watcher
        self._seed = seed
        self._open_tasks = open_tasks
        self._large = large
        self._has_external = has_external
        self._nudged = asyncio.Event()
        self._number = 0
        self.tasks = 0
        """Acknowledged."""

        self.plans: dict[str, str] = {}
        """The acknowledged ones: the key of each and its id."""

        self.wanted = 0
        """How many tasks are to be acknowledged; more when somebody needs work to go on."""

    def resume(self, lines: Sequence[Line]) -> None:
        """Take up what earlier runs have acknowledged."""
        for line in lines:
            if line.what == "ok":
                self._acknowledge(line.name, line.said["plan_id"], line.said["tasks"])
            elif line.what == "invoke":
                self._number = max(self._number, int(line.name.rpartition("-")[2]))

    @property
    def open(self) -> int:
        """How many acknowledged tasks are not completed yet."""
        return self.tasks - self._watcher.completed

    def nudge(self) -> None:
        """Have a small graph submitted at once."""
        self._nudged.set()

    async def run(self) -> None:
        """Submit until cancelled."""
        async with self._world.client(timeout=_TIMEOUT) as client:
            while True:
                has_room = self.open < self._open_tasks and self.tasks < self.wanted
                if not has_room and not self._nudged.is_set():
                    await asyncio.sleep(0.05)
                    continue
                is_small = self._nudged.is_set() or self._number % 3 == 0
                self._nudged.clear()
                await self.submit(client, is_small=is_small)

    async def submit_wide(self, tasks: int) -> str:
        """Submit a graph whose tasks wait for nothing, and return the plan's id."""
        self._number += 1
        key = f"{self._seed}-{self._number}"
        wide = [_task(number, {}) for number in range(tasks)]
        async with self._world.client(timeout=60) as client:
            # All of it at once: by itself a plan has a thousand tasks of a type under way.
            return await self._accept(client, key, wide, parallelization="aggressive")

    async def submit(self, client: httpx2.AsyncClient, *, is_small: bool) -> str:
        """Submit the next graph, repeat it until it is acknowledged, and return the plan's id."""
        self._number += 1
        key = f"{self._seed}-{self._number}"
        lots = random.Random(key)  # noqa: S311 # a workload that can be repeated
        low, high = SMALL if is_small else self._large
        tasks = graph(lots, lots.randint(low, high), has_external=self._has_external)
        plan_id = await self._accept(client, key, tasks)
        if lots.random() < 0.2:
            again, _ = await self._insist(client, key, tasks)
            self._world.history.write("repeated", key, plan_id=again)
        return plan_id

    async def _accept(
        self, client: httpx2.AsyncClient, key: str, tasks: Sequence[Json], **options: str
    ) -> str:
        self._world.history.write("invoke", key, tasks=len(tasks))
        plan_id, tries = await self._insist(client, key, tasks, **options)
        self._world.history.write("ok", key, plan_id=plan_id, tasks=len(tasks), tries=tries)
        self._acknowledge(key, plan_id, len(tasks))
        return plan_id

    async def _insist(
        self, client: httpx2.AsyncClient, key: str, tasks: Sequence[Json], **options: str
    ) -> tuple[str, int]:
        body: Json = {
            "goal": {"title": key},
            "options": {"auto_execute": True, **options},
            "task_graph": {"tasks": tasks},
        }
        tries = 0
        while True:
            tries += 1
            try:
                answer = await client.post(
                    f"{self._world.api_url}/api/v1/plans/create?wait=0",
                    json=body,
                    headers={"Idempotency-Key": key},
                )
            except httpx2.HTTPError as error:
                self._world.history.write("info", key, why=type(error).__name__)
            else:
                if answer.is_success:
                    return str(answer.json()["plan_id"]), tries
                what = "info" if answer.status_code in (429, 503) else "refused"
                self._world.history.write(what, key, status=answer.status_code, why=answer.text)
            await asyncio.sleep(_AGAIN)

    def _acknowledge(self, key: str, plan_id: str, tasks: int) -> None:
        self.plans[key] = plan_id
        self.tasks += tasks


def graph(lots: random.Random, tasks: int, *, has_external: bool = False) -> Sequence[Json]:
    """Return a wide graph: most of it short, some of it long, some of it failing at first."""
    width = max(4, tasks // lots.randint(3, 8))
    made: list[Json] = []
    for number in range(tasks):
        layer, place = divmod(number, width)
        before = {(layer - 1) * width + (place + step) % width for step in (0, 1, 7)}
        external = has_external and lots.random() < 0.3
        task = _task(number, _params(lots) | ({"external": True} if external else {}))
        task["depends_on"] = [f"t{one:05}" for one in sorted(before)] if layer else []
        if external:
            task["effect"] = "external"
            task["retry"]["unknown"] = "with_key"
        made.append(task)
    return made


def _task(number: int, params: Json) -> Json:
    return {
        "id": f"t{number:05}",
        "name": f"Task {number}",
        "agent": TYPE,
        "action": "effect",
        "params": params,
        "retry": {"attempts": 6, "lost": 200},
    }


def _params(lots: random.Random) -> Json:
    chance = lots.random()
    if chance < 0.01:
        return {"fails": 1}
    if chance < 0.03:
        return {"seconds": round(lots.uniform(0.5, 3.0), 2)}
    return {"seconds": 0.01} if chance < 0.3 else {}
