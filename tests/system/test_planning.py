"""Planning over RabbitMQ: domains plan at the same time, none can hold up the rest, goals end well.

D0-WF-04, D0-PAT-05. The core is processes of its own, the agents are in the test's.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from domain.run_events import GatherClosed, ReportIgnored, TaskCompleted
from tests.agents.carrying import PLANNERS, WORKERS
from tests.support.planning import attempts, enter, paused, post
from tests.support.recorded import of_type, read_log
from tests.support.telling import Tell
from tests.system.checker import require
from tests.system.processes import ROOT, Stack, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(480)]

GOALS = sorted((ROOT / "agents" / "goals").glob("*.json"))
DOMAINS = ("META", "CAD", "SIM", "COMP", "SUPP")
BRAKE: Mapping[str, Any] = json.loads(
    (ROOT / "agents" / "goals" / "brake-caliper.json").read_text()
)


@pytest_asyncio.fixture
async def stack(tmp_path: Path, database: str, vhost_url: str) -> AsyncIterator[Stack]:
    loop = asyncio.get_running_loop()
    context = running(tmp_path, database, vhost_url)
    stack = await loop.run_in_executor(None, context.__enter__)
    yield stack
    await loop.run_in_executor(None, context.__exit__, None, None, None)


async def until(stack: Stack, condition: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(stack.until, condition, what)


async def planned(stack: Stack, plan_id: str) -> Mapping[str, Any]:
    await until(stack, lambda: bool(stack.count("plan.ready", stream=plan_id)), "it is planned")
    await until(stack, stack.is_shown, "the views are where the log is")
    shown: Mapping[str, Any] = await asyncio.to_thread(stack.ask, f"/plans/{plan_id}")
    return shown


async def test_the_domains_plan_at_the_same_time(
    stack: Stack, vhost_url: str, database: str, tell: Tell
) -> None:
    slow = [paused(PLANNERS[name], seconds=1) for name in DOMAINS]
    async with AsyncExitStack() as agents:
        await enter(agents, [PLANNERS["META_PLANNER"], *slow], vhost_url)
        await until(stack, lambda: stack.count("agent.registered") == 6, "all have registered")
        plan_id = await post(stack, BRAKE["goal"])
        shown = await planned(stack, plan_id)
    times = await attempts(stack, shown["planning_execution_id"])
    planners = [times[f"plan-{name.lower()}"] for name in DOMAINS]
    assert max(started for started, _ in planners) < min(ended for _, ended in planners)
    took = (times["synthesize"][1] - times["decompose"][0]).total_seconds()
    assert took < sum((ended - started).total_seconds() for started, ended in planners)
    tell(f"five planners that pause for 1 s each: planned in {took:.2f} s")
    await asyncio.to_thread(require, database)


@pytest.mark.parametrize(
    "gather",
    [{"rule": "quorum", "answers": 4}, {"rule": "deadline", "seconds": 8}],
    ids=lambda gather: gather["rule"],
)
async def test_a_dead_planner_is_gone_without_and_its_late_answer_is_kept(
    stack: Stack, vhost_url: str, database: str, gather: Mapping[str, Any]
) -> None:
    alive = [PLANNERS[name] for name in ("META_PLANNER", "META", "CAD", "SIM", "COMP")]
    async with AsyncExitStack() as agents:
        await enter(agents, alive, vhost_url)
        plan_id = await post(stack, BRAKE["goal"], gather=gather)
        await until(stack, lambda: stack.count("task.dispatched") >= 6, "all are asked")
        stack.kill("coordinator")  # whoever comes next finds the rule, and when it is due
        shown = await planned(stack, plan_id)
        assert "SUPP has not answered; nothing of it is planned" in shown["missing"]
        assert {node["agent"] for node in shown["task_graph"]["nodes"]} == set(DOMAINS) - {"SUPP"}
        await enter(agents, [PLANNERS["SUPP"]], vhost_url)
        await until(
            stack, lambda: stack.count("report.ignored") >= 2, "what comes late is recorded"
        )
    run_id = shown["planning_execution_id"]
    recorded = await read_log(stack, run_id)
    (closed,) = of_type(recorded, GatherClosed)
    assert (closed.rule, closed.missing) == (gather["rule"], ("plan-supp",))
    kept = [each.result for each in of_type(recorded, ReportIgnored)]
    assert [found["domain"] for found in kept if found] == ["SUPP"]
    await asyncio.to_thread(require, database)


async def test_the_sample_goals_are_planned_and_carried_out(
    stack: Stack, vhost_url: str, database: str
) -> None:
    async with AsyncExitStack() as agents:
        await enter(agents, [*PLANNERS.values(), *WORKERS.values()], vhost_url)
        plans: dict[str, str] = {}
        for file in GOALS:
            wanted = json.loads(file.read_text())
            plans[file.stem] = await post(stack, wanted["goal"], **wanted["options"])
        for plan_id in plans.values():
            await asyncio.to_thread(stack.until_completed, plan_id)
    released = [
        each.result["decision"]
        for each in of_type(await read_log(stack), TaskCompleted)
        if "decision" in each.result
    ]
    assert released == ["release"] * len(GOALS)
    assert len(GOALS) >= 5
    await asyncio.to_thread(require, database)
