"""Planners that ask models of a stub, in this process."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from agents.agent import Agent, Work
from agents.llm.choices import Choices
from agents.llm.panel import Panel
from agents.llm.planning import assisted
from domain.goals import Goal, Options
from domain.usage import Budget, ModelCall
from domain.values import JsonObject
from infra.processes.models import make_model
from tests.agents.carrying import PLANNERS
from tests.support.stubs import Played

KEY = "sk-canary-4711-never-told"
PRICE = {"input": 1.0, "output": 4.0}
GOAL = Goal(
    title="Design a brake caliper",
    description="Create it, simulate it and find suppliers",
    domain="automotive",
)


def choices(stub: Played, *kinds: str, **more: Any) -> Choices:
    """Return settings that ask these providers of a stub, in this order."""
    said: dict[str, Any] = {"order": kinds, "timeout": 5, "patience": 10}
    for kind in kinds:
        url = stub.address if kind == "anthropic" else f"{stub.address}/v1"
        said[kind] = {"model": f"{kind}-model", "key": KEY, "url": url, "price": PRICE}
    return Choices.model_validate(said | more)


@asynccontextmanager
async def panel_for(settings: Choices) -> AsyncGenerator[Panel]:
    panel = Panel(settings, make=make_model)
    try:
        yield panel
    finally:
        await panel.aclose()


@dataclass
class Asked:
    """One attempt at a planning task, and the calls it told of."""

    work: Work
    calls: list[ModelCall] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        return sum(call.input_tokens + call.output_tokens for call in self.calls)


def attempt(
    action: str,
    goal: Goal = GOAL,
    *,
    options: Options | None = None,
    budget: Budget | None = None,
) -> Asked:
    """Return an attempt at planning a goal."""
    params: JsonObject = {
        "goal": goal.model_dump(mode="json"),
        "options": (options or Options()).model_dump(mode="json"),
    }
    work = Work(
        run_id="exec_test", task_id=action, epoch=1, name=action, action=action, params=params
    )
    asked = Asked(work)
    asked.work = replace(work, charge=asked.calls.append, budget=budget)
    return asked


def planners(panel: Panel | None) -> Mapping[str, Agent]:
    """Return every planner, with models to ask."""
    return {name: assisted(agent, panel) for name, agent in PLANNERS.items()}


async def plan(panel: Panel | None, asked: Asked, *, by: str = "CAD") -> JsonObject:
    """Let one planner plan."""
    return await planners(panel)[by].carries(asked.work.action)(asked.work)


def note_of(result: JsonObject) -> str:
    """Return the last note of a plan: who made it, and why."""
    notes = result["notes"]
    assert isinstance(notes, list)
    return str(notes[-1])
