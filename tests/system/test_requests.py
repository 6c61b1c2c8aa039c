"""Agents are asked, dismissed, and given single tasks, over a whole stack."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.system.checker import require
from tests.system.processes import Stack, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(480)]

PLANNER = "cad_planner_001"


def is_active(stack: Stack, agent_id: str) -> bool:
    active: list[dict[str, Any]] = stack.ask("/agents?status=active")["agents"]
    return any(agent["agent_id"] == agent_id for agent in active)


def invoke(stack: Stack, *, code: int = 0) -> str:
    payload = orjson.dumps({"goal": "Design brake caliper"}).decode()
    return stack.taskloom("agents", "invoke", PLANNER, "plan", "--payload", payload, code=code)


def test_an_agent_answers_until_it_is_dismissed(
    tmp_path: Path, database: str, vhost_url: str
) -> None:
    agents = {PLANNER: "agents.planners.cad", "noop_001": "agents.workers.noop"}
    with running(tmp_path, database, vhost_url, agents=agents) as stack:
        stack.until(lambda: all(is_active(stack, each) for each in agents), "both are there")
        result = orjson.loads(invoke(stack))
        assert result["plan"]["domain"] == "CAD"
        assert result["estimated_duration_seconds"] > 0
        assert stack.count("task.dispatched") == 0

        stack.taskloom("agents", "deregister", PLANNER, "--reason", "old")
        assert stack.count("agent.deregistered") == 1
        stack.until(lambda: not is_active(stack, PLANNER), "it is not active any more")
        invoke(stack, code=4)
        stack.until(lambda: "agent.dismissed" in stack.words(PLANNER), "it has heard of it")
        stack.until(lambda: "agent.stops" in stack.words(PLANNER), "it takes no more")

        item = stack.ask(
            "/queue/enqueue", {"task_id": "t1", "agent_type": "NOOP", "action": "noop"}
        )
        stack.until(
            lambda: stack.ask(f"/queue/{item['queue_id']}")["status"] == "completed", "it is done"
        )
        stack.until(stack.is_shown, "the views are where the log is")
        queues = stack.ask("/queue/status")
        (noop,) = [each for each in queues["queues"] if each["agent_type"] == "NOOP"]
        assert (noop["pending_tasks"], noop["processing_tasks"]) == (0, 0)
        assert noop["avg_wait_time_seconds"] >= 0
        assert [lane["in_queue"] for lane in noop["lanes"]] == [0, 0, 0, 0]
        assert "NOOP" in stack.taskloom("queue", "status")
        require(database)
        assert stack.stop(PLANNER, seconds=10) == 0  # it has stayed, and ends when it is told to
        assert not stack.deaths
