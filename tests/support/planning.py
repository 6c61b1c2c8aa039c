"""Planners in the test's own process, and what the log says of a planning."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from typing import Any

from agents.agent import Agent, Carry, Work
from domain.run_events import TaskCompleted, TaskStarted
from domain.values import JsonObject
from tests.agents.kit.running import Running
from tests.support.recorded import read_log
from tests.system.processes import Stack


def paused(agent: Agent, *, seconds: float) -> Agent:
    """Return an agent that takes so many seconds more for everything."""

    def slowly(carry: Carry) -> Carry:
        async def act(work: Work) -> JsonObject:
            await asyncio.sleep(seconds)
            return await carry(work)

        return act

    return replace(agent, actions={name: slowly(carry) for name, carry in agent.actions.items()})


async def enter(stack: AsyncExitStack, agents: Iterable[Agent], url: str) -> None:
    """Run agents until the stack is left."""
    for agent in agents:
        name = f"{agent.role}_{agent.type.lower()}"
        await stack.enter_async_context(Running(agent, url, agent_id=name))


async def post(stack: Stack, goal: Mapping[str, Any], **options: Any) -> str:
    """Submit a goal, and return the id of its plan."""
    body = {"goal": goal, "options": options}
    answer = await asyncio.to_thread(stack.ask, "/plans/create?wait=0", body)
    return str(answer["plan_id"])


async def attempts(stack: Stack, run_id: str) -> Mapping[str, tuple[datetime, datetime]]:
    """Return when each task of a run was started and when it was completed."""
    began: dict[str, datetime] = {}
    ended: dict[str, datetime] = {}
    for each in await read_log(stack, run_id):
        if isinstance(each.event, TaskStarted):
            began[each.event.task_id] = each.at
        elif isinstance(each.event, TaskCompleted):
            ended[each.event.task_id] = each.at
    return {name: (began[name], end) for name, end in ended.items()}
