"""The outside world: what the agents' work does there, and how each task is meant to go."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from agents.agent import Agent, CannotBeDone, TryAgain, Work
from domain.values import AgentType, JsonObject
from infra.simulation.processes import Process
from infra.simulation.world import World

TaskKey = tuple[str, str]
"""A run and a task of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """How a task is meant to go."""

    seconds: float
    """How long an attempt takes."""

    failures: int = 0
    """How many attempts fail before one succeeds."""

    end: Literal["completed", "failed"] = "completed"
    """How it ends when nobody interferes."""

    is_impossible: bool = False
    """Whether its first attempt says that no other can help."""


def written(lots: Random, *, attempts: int) -> Script:
    """Write the script of a task that may be tried so often."""
    seconds = lots.choice((0.01, 0.05, 0.3, 1.0, 3.0))
    match lots.random():
        case share if share < 0.70:
            return Script(seconds=seconds)
        case share if share < 0.88:
            return Script(seconds=min(seconds, 0.3), failures=lots.randint(1, min(2, attempts - 1)))
        case share if share < 0.94:
            return Script(seconds=min(seconds, 0.3), failures=attempts, end="failed")
        case _:
            return Script(seconds=seconds, end="failed", is_impossible=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """An attempt that began to touch the world."""

    run_id: str
    task_id: str
    epoch: int
    by: str
    """Which start of which agent."""

    at: float


@dataclass(slots=True)
class Outside:
    """Keeps the ledger of effects; nothing there is ever lost or taken back."""

    world: World
    scripts: dict[TaskKey, Script] = field(default_factory=dict[TaskKey, Script])
    effects: list[Effect] = field(default_factory=list[Effect])
    failed: dict[TaskKey, int] = field(default_factory=dict[TaskKey, int])

    def agent(self, process: Process, agent_type: AgentType) -> Agent:
        """Return an agent whose work has its effects here."""

        async def carry(work: Work) -> JsonObject:
            return await self._carry(process, work)

        return Agent(type=agent_type, actions={"*": carry})

    async def _carry(self, process: Process, work: Work) -> JsonObject:
        process.check()
        key = (work.run_id, work.task_id)
        script = self.scripts[key]
        self.effects.append(
            Effect(
                run_id=work.run_id,
                task_id=work.task_id,
                epoch=work.epoch,
                by=process.name,
                at=self.world.now,
            )
        )
        self.world.note("effect", process.name, *key, work.epoch)
        await asyncio.sleep(script.seconds / 2)
        work.progress(0.5)
        await asyncio.sleep(script.seconds / 2)
        if script.is_impossible:
            raise CannotBeDone("the script says so")
        if script.end == "failed" or self.failed.get(key, 0) < script.failures:
            self.failed[key] = self.failed.get(key, 0) + 1
            raise TryAgain("the script says so")
        return {"answer": f"{work.task_id}/{work.epoch}", "of": _seen(work.inputs)}


def _seen(inputs: Mapping[str, JsonObject]) -> str:
    return ", ".join(sorted(str(result.get("answer")) for result in inputs.values()))
