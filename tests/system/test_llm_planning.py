"""A goal is planned by models over the bus, in processes of their own: every token is found."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from infra.llm_stub.scenario import Rule
from tests.support.stubs import played
from tests.system.processes import running

pytestmark = [pytest.mark.system, pytest.mark.timeout(480)]

PLANNERS = ("meta_planner", "meta", "cad", "sim", "comp", "supp")
PRICE = '{"input": 1.0, "output": 4.0}'


def test_models_plan_a_goal_and_the_account_is_the_providers_own(
    tmp_path: Path, database: str, vhost_url: str
) -> None:
    faults = (
        Rule(tool="decompose", fault="503", retry_after=0, times=1),
        Rule(tool="plan", fault="malformed", times=1),
        Rule(tool="plan", fault="429", retry_after=0, times=1),
        Rule(tool="plan", fault="503", retry_after=60, provider="anthropic"),
    )
    with played(*faults) as stub:
        env = {
            "TASKLOOM_AGENTS__LEASE": "15",  # who is taken for gone has spent its share
            "TASKLOOM_LLM__ORDER": '["anthropic", "openai"]',
            "TASKLOOM_LLM__OPENAI__URL": f"{stub.address}/v1",
            "TASKLOOM_LLM__OPENAI__KEY": "sk-canary-system",
            "TASKLOOM_LLM__OPENAI__PRICE": PRICE,
            "TASKLOOM_LLM__ANTHROPIC__URL": stub.address,
            "TASKLOOM_LLM__ANTHROPIC__KEY": "sk-canary-system",
            "TASKLOOM_LLM__ANTHROPIC__PRICE": PRICE,
        }
        agents = {f"{name}_planner": f"agents.planners.{name}" for name in PLANNERS}
        with running(tmp_path, database, vhost_url, agents=agents, env=env) as stack:
            goal = tmp_path / "goal.json"
            options = {"planner": "llm", "model_budget": {"tokens": 200_000, "cost": 1.0}}
            wanted = {"title": "Design a drone arm", "description": "Simulate it and source it"}
            goal.write_bytes(orjson.dumps({"goal": wanted, "options": options}))
            plan_id = stack.taskloom("plan", "submit", str(goal)).strip()
            stack.until(
                lambda: bool(stack.count("plan.ready", stream=plan_id)), "it is planned", seconds=90
            )
            stack.until(stack.is_shown, "the views are where the log is")
            usage: dict[str, Any] = stack.ask(f"/plans/{plan_id}/usage")
            plan: dict[str, Any] = stack.ask(f"/plans/{plan_id}")
            printed = stack.taskloom("plan", "usage", plan_id)
            logs = stack.words("*", lines=10_000)
        counted = stub.stub.usage()["total"]
    total = usage["total"]
    assert (total["input_tokens"], total["output_tokens"]) == (
        counted["input_tokens"],
        counted["output_tokens"],
    )
    dollars = (counted["input_tokens"] * 1.0 + counted["output_tokens"] * 4.0) / 1e6
    assert total["cost"] == pytest.approx(dollars, rel=1e-9)
    assert total["calls"] == counted["requests"]
    assert total["failed"] == counted["refused"]
    assert total["malformed"] == 1
    assert total["input_tokens"] + total["output_tokens"] <= 200_000
    assert {each["task_id"] for each in usage["tasks"]} >= {"decompose", "plan-cad", "plan-sim"}
    assert plan["metrics"]["total_tasks"] > 20
    assert "in all" in printed
    assert "sk-canary-system" not in f"{logs}{orjson.dumps([usage, plan]).decode()}"
