"""A budget is not passed, equal questions cost nothing, and what is asked for twice is bounded."""

import json
from pathlib import Path

import pytest

from agents.agent import CannotBeDone
from agents.llm.planning import assisted
from agents.llm.rights import rights
from domain.goals import Options
from domain.plan import GoalSubmitted
from domain.run_events import TaskCompleted, TaskDispatched, TaskStarted
from domain.usage import Budget, Spending
from infra.llm_stub.scenario import Rule
from tests.agents.carrying import PLANNERS, WORKERS, work
from tests.agents.llm.asking import GOAL, attempt, choices, note_of, panel_for, plan, planners
from tests.support.histories import History
from tests.support.stubs import played


@pytest.mark.parametrize("tokens", [0, 500, 3_000, 6_000, 20_000])
async def test_a_budget_in_tokens_is_never_passed(tokens: int) -> None:
    with played(Rule(fault="cycle")) as stub:
        async with panel_for(choices(stub, "openai", "anthropic")) as panel:
            asked = attempt("plan", budget=Budget(tokens=tokens))
            result = await plan(panel, asked)
    assert "Planned by rules" in note_of(result)
    assert asked.tokens == stub.tokens <= tokens
    assert (tokens < 6_000) == (asked.calls == [])


@pytest.mark.parametrize("cost", [0.0, 0.005, 0.02])
async def test_a_budget_in_money_is_never_passed(cost: float) -> None:
    with played(Rule(fault="cycle")) as stub:
        async with panel_for(choices(stub, "openai", "anthropic")) as panel:
            asked = attempt("plan", budget=Budget(cost=cost))
            await plan(panel, asked)
    assert Spending().plus(asked.calls).cost <= cost


async def test_a_provider_that_charges_what_it_likes_does_so_once() -> None:
    with played(Rule(fault="cycle", tokens=50_000)) as stub:
        async with panel_for(choices(stub, "openai", "anthropic")) as panel:
            asked = attempt("plan", budget=Budget(tokens=20_000))
            result = await plan(panel, asked)
    assert "budget" in note_of(result)
    (call,) = asked.calls
    assert asked.tokens == stub.tokens == call.input_tokens + 50_000


async def test_money_is_not_spent_where_the_price_is_not_known() -> None:
    with played() as stub:
        settings = choices(
            stub, "compatible", compatible={"url": f"{stub.address}/v1", "model": "m"}
        )
        async with panel_for(settings) as panel:
            asked = attempt("plan", budget=Budget(cost=5.0))
            assert "nobody knows what m costs" in note_of(await plan(panel, asked))
            free = attempt("plan")
            await plan(panel, free)
    assert asked.calls == []
    assert [call.cost for call in free.calls] == [None]


async def test_settings_bound_what_a_plan_leaves_open() -> None:
    with played() as stub:
        async with panel_for(choices(stub, "openai", most_tokens=100)) as panel:
            with pytest.raises(CannotBeDone, match="budget"):
                await plan(panel, attempt("plan", options=Options(planner="llm")))
    assert stub.stub.requests == 0


async def test_a_whole_plan_stays_within_its_budget_however_many_plan_at_once() -> None:
    budget = Budget(tokens=30_000, cost=0.05)
    history = History()
    options = Options(model_budget=budget)
    history.say(GoalSubmitted(plan_id="plan_1", goal=GOAL, options=options))
    with played(Rule(fault="cycle", chance=0.6)) as stub:
        async with panel_for(choices(stub, "openai", "anthropic")) as panel:
            team = planners(panel)
            done: set[str] = set()
            while todo := [
                each.event
                for each in history.events
                if isinstance(each.event, TaskDispatched)
                and each.event.task_id.startswith(("decompose", "plan-"))
                and each.event.task_id not in done
            ]:
                for task in todo:
                    asked = attempt(task.action, options=options, budget=task.budget)
                    result = await team[task.agent].carries(task.action)(asked.work)
                    done.add(task.task_id)
                    who = {"run_id": task.run_id, "task_id": task.task_id, "agent_id": "ann"}
                    history.say(TaskStarted(**who, epoch=1))
                    end = TaskCompleted(**who, epoch=1, result=result, calls=tuple(asked.calls))
                    history.say(end)
    told = [each.event for each in history.events if isinstance(each.event, TaskCompleted)]
    spent = Spending().plus([call for event in told for call in event.calls])
    assert len(told) == 6
    assert spent.tokens == stub.tokens
    assert budget.tokens is not None
    assert budget.cost is not None
    assert 0 < spent.tokens <= budget.tokens
    assert spent.cost <= budget.cost


async def test_the_same_question_is_asked_once(tmp_path: Path) -> None:
    with played() as stub:
        settings = choices(stub, "openai", cache_dir=tmp_path / "answers")
        async with panel_for(settings) as panel:
            first, second = attempt("plan"), attempt("plan")
            results = [await plan(panel, first), await plan(panel, second)]
        async with panel_for(settings) as panel:
            third = attempt("plan")
            results.append(await plan(panel, third))
            other = attempt("plan", GOAL.model_copy(update={"title": "Another brake caliper"}))
            await plan(panel, other)
    assert results[0] == results[1] == results[2]
    assert stub.stub.requests == 2
    outcomes = [each.calls[0].outcome for each in (first, second, third, other)]
    assert outcomes == ["answered", "cached", "cached", "answered"]
    assert second.tokens == 0


async def test_a_remembered_answer_is_judged_again(tmp_path: Path) -> None:
    with played() as stub:
        settings = choices(stub, "openai", cache_dir=tmp_path)
        async with panel_for(settings) as panel:
            await plan(panel, attempt("plan"))
        (kept,) = tmp_path.glob("*.json")  # noqa: ASYNC240 # nothing else runs
        kept.write_text(json.dumps({"tasks": [{"key": "a", "action": "shell"}]}))
        async with panel_for(settings) as panel:
            asked = attempt("plan")
            await plan(panel, asked)
    assert [call.outcome for call in asked.calls] == ["answered"]


def test_the_rights_are_what_the_workers_can_do() -> None:
    domains = ("META", "CAD", "SIM", "COMP", "SUPP")
    assert {name: set(rights()[name]) for name in domains} == {
        name: set(WORKERS[name].actions) for name in domains
    }


@pytest.mark.parametrize("title", ["Design a brake caliper", "Develop a drone arm", "Build an app"])
async def test_the_rights_cover_what_the_rules_propose(title: str) -> None:
    goal = {"title": title, "constraints": {"compliance": ["ISO 26262"], "timeline": "90 days"}}
    for name in ("META", "CAD", "SIM", "COMP", "SUPP"):
        draft = await assisted(PLANNERS[name], None).carries("plan")(work("plan", {"goal": goal}))
        tasks = draft["tasks"]
        assert isinstance(tasks, list)
        for task in tasks:
            assert isinstance(task, dict)
            right = rights()[name][str(task["action"])]
            assert isinstance(task["params"], dict)
            assert task["params"].keys() <= right.params
