"""The only agent of a type is gone for good: the plan finds another way, and the run ends well."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.system.checker import require
from tests.system.processes import Stack, running
from tests.system.test_steering import post, recorded, run_of

pytestmark = [pytest.mark.system, pytest.mark.timeout(480)]

PLANNER = "agents.planners.meta_planner"
WORKER = '''
import asyncio

from agents.agent import Agent, Work
from domain.values import JsonObject


async def mill(work: Work) -> JsonObject:
    """Take a moment, as mills do."""
    await asyncio.sleep(0.2)
    return {{"by": "{name}"}}


AGENT = Agent(type="{name}", actions={{"mill": mill}}, concurrency={concurrency})
'''
PARTS = 12


def graph() -> list[Mapping[str, Any]]:
    """Return parts that are milled one after the other, by machines of one type."""
    return [
        {
            "id": f"part-{number:02}", "name": f"Mill part {number}", "agent": "MILL",
            "action": "mill", "duration": 60, "cost": 5,
            "depends_on": [f"part-{number - 3:02}"] if number >= 3 else [],
        }
        for number in range(PARTS)
    ]  # fmt: skip


def wanted(**options: object) -> Mapping[str, Any]:
    return {
        "goal": {"title": "Mill a dozen"},
        "task_graph": {"tasks": graph()},
        "options": {"auto_execute": True, "execution": {"failure_strategy": "replan"}, **options},
    }


def command(stack: Stack, *arguments: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = orjson.loads(stack.taskloom("plan", *arguments, "--json"))
    return found


def test_another_type_of_agents_takes_over_and_what_is_done_stays_done(
    tmp_path: Path, database: str, vhost_url: str
) -> None:
    paths = {name: tmp_path / f"{name.lower()}.py" for name in ("MILL", "LATHE")}
    for name, path in paths.items():
        path.write_text(WORKER.format(name=name, concurrency=2))
    agents = {"mill-1": str(paths["MILL"]), "lathe-1": str(paths["LATHE"]), "planner": PLANNER}
    quick = {"TASKLOOM_AGENTS__REPLAN_AFTER": "2"}
    with running(tmp_path, database, vhost_url, agents=agents, env=quick) as stack:
        plan_id = str(post(stack, "/plans/create", **wanted())["plan_id"])
        run_id = run_of(plan_id)
        stack.until(lambda: stack.count("task.completed", stream=run_id) >= 3, "it is on its way")
        stack.stop("mill-1", seconds=15)  # nobody starts it again

        stack.until(lambda: bool(stack.count("run.completed", stream=run_id)), "it is completed")
        stack.until(stack.is_shown, "the views are where the log is")
        times = Counter(task for task, _ in recorded(stack, run_id, "task.completed"))
        assert times == Counter({each["id"]: 1 for each in graph()})
        assert stack.count("plan.updated", stream=plan_id) == 1

        change = command(stack, "diff", plan_id)
        assert (change["before"], change["after"], change["added"]) == (1, 2, [])
        moved = {each["task_id"]: each["changes"]["agent"] for each in change["modified"]}
        assert 0 < len(moved) <= PARTS - 3
        assert {tuple(each) for each in moved.values()} == {("MILL", "LATHE")}
        blamed = command(stack, "blame", plan_id, "part-11")
        assert [each["what"] for each in blamed["history"]] == ["added", "modified"]
        assert "no MILL agent" in blamed["history"][-1]["reason"]
        require(stack.dsn)
        shown = stack.ask(f"/executions/{run_id}")
        assert (shown["status"], shown["progress"]["tasks"]["completed"]) == ("completed", PARTS)


def test_a_way_that_takes_too_long_is_refused_with_the_numbers(
    tmp_path: Path, database: str, vhost_url: str
) -> None:
    paths = {name: tmp_path / f"{name.lower()}.py" for name in ("MILL", "LATHE")}
    for name, path in paths.items():
        path.write_text(WORKER.format(name=name, concurrency=2))
    agents = {"lathe-1": str(paths["LATHE"]), "planner": PLANNER}
    graph_of_two = [
        {**graph()[0], "depends_on": []},
        {**graph()[1], "agent": "LATHE", "depends_on": []},
    ]
    with running(tmp_path, database, vhost_url, agents=agents) as stack:
        asked = {
            **wanted(auto_execute=False, execution={"limits": {"LATHE": 1, "MILL": 1}}),
            "task_graph": {"tasks": graph_of_two},
        }
        plan_id = str(post(stack, "/plans/create", **asked)["plan_id"])
        stack.until(lambda: len(stack.ask("/agents")["agents"]) == 2, "they are there")

        refused = command(stack, "replan", plan_id, "--max-delay", "30 s", "--reason", "no mill")
        assert (refused["status"], refused["revision"]) == ("refused", 1)
        assert "0:01:00 longer; 0:00:30 are allowed" in refused["reason"]
        assert refused["estimated_impact"]["delay_seconds"] == 60

        updated = command(stack, "replan", plan_id, "--max-delay", "1 min")
        assert (updated["status"], updated["revision"]) == ("updated", 2)
        assert updated["changes"] == {"tasks_added": 0, "tasks_removed": 0, "tasks_modified": 1}
