"""Both protocols over real sockets: every fault has its end, and every token is counted."""

import asyncio
import time

import pytest

from agents.agent import CannotBeDone, TryAgain
from agents.llm.planning import assisted
from domain.goals import Options
from infra.llm_stub.scenario import Rule
from tests.agents.carrying import PLANNERS
from tests.agents.llm.asking import KEY, PRICE, attempt, choices, note_of, panel_for, plan
from tests.support.stubs import Played, played

BOTH = pytest.mark.parametrize("kind", ["openai", "anthropic"])
LLM = Options(planner="llm")


def charged(stub: Played) -> float:
    total = stub.stub.usage()["total"]
    dollars = total["input_tokens"] * PRICE["input"] + total["output_tokens"] * PRICE["output"]
    return float(dollars) / 1e6


@pytest.mark.parametrize("kind", ["openai", "anthropic", "compatible"])
async def test_a_model_plans_and_every_token_is_accounted(kind: str) -> None:
    with played() as stub:
        async with panel_for(choices(stub, kind)) as panel:
            asked = attempt("plan")
            result = await plan(panel, asked)
            divided = attempt("decompose")
            division = await plan(panel, divided, by="META_PLANNER")
    assert note_of(result) == f"Planned by {kind} {kind}-model, prompt plan/1."
    assert note_of(division) == f"Decomposed by {kind} {kind}-model, prompt decompose/1."
    calls = [*asked.calls, *divided.calls]
    assert [call.outcome for call in calls] == ["answered", "answered"]
    assert asked.tokens + divided.tokens == stub.tokens > 0
    assert sum(call.cost or 0 for call in calls) == pytest.approx(charged(stub), rel=1e-9)


@BOTH
@pytest.mark.parametrize("fault", ["429", "503", "500", "cut", "garbage", "malformed", "text"])
async def test_a_fault_that_passes_costs_a_call_and_no_plan(kind: str, fault: str) -> None:
    rule = Rule.model_validate({"fault": fault, "times": 1, "retry_after": 0})
    with played(rule) as stub:
        async with panel_for(choices(stub, kind)) as panel:
            asked = attempt("plan", options=LLM)
            result = await plan(panel, asked)
    assert "Planned by" in note_of(result)
    outcomes = [call.outcome for call in asked.calls]
    expected = "malformed" if fault in ("malformed", "text") else "failed"
    assert outcomes == [expected, "answered"], asked.calls
    assert asked.tokens == stub.tokens
    assert stub.stub.requests == 2


@BOTH
async def test_who_stalls_is_given_up_in_time_and_may_have_cost_something(kind: str) -> None:
    with played(Rule(fault="stall")) as stub:
        async with panel_for(choices(stub, kind, timeout=0.3, patience=0.9)) as panel:
            asked = attempt("plan")
            began = time.monotonic()
            result = await plan(panel, asked)
            assert time.monotonic() - began < 4
    assert note_of(result).startswith("Planned by rules: no ")
    assert {call.outcome for call in asked.calls} == {"failed"}
    assert asked.calls[0].doubt_tokens > 0
    assert asked.calls[0].doubt_cost > 0


@BOTH
async def test_a_plan_that_waits_for_itself_is_asked_for_again_and_then_given_up(kind: str) -> None:
    with played(Rule(fault="cycle")) as stub:
        async with panel_for(choices(stub, kind)) as panel:
            asked = attempt("plan")
            result = await plan(panel, asked)
    assert "waits for itself" in note_of(result)
    assert [call.outcome for call in asked.calls] == ["malformed"] * 3
    assert asked.tokens == stub.tokens
    assert "refused for these reasons" in stub.stub.heard[-1].text


@BOTH
async def test_retry_after_is_respected(kind: str) -> None:
    with played(Rule(fault="429", retry_after=0.4, times=1)) as stub:
        async with panel_for(choices(stub, kind)) as panel:
            asked = attempt("plan")
            began = time.monotonic()
            await plan(panel, asked)
            assert time.monotonic() - began >= 0.4
    assert stub.stub.requests == 2


@BOTH
async def test_who_wants_to_be_left_alone_for_long_is_not_waited_for(kind: str) -> None:
    with played(Rule(fault="429", retry_after=600)) as stub:
        async with panel_for(choices(stub, kind)) as panel:
            asked = attempt("plan", options=LLM)
            with pytest.raises(TryAgain, match="429"):
                await plan(panel, asked)
            again = attempt("plan")
            assert "Planned by rules" in note_of(await plan(panel, again))
    assert stub.stub.requests == 1, "it was asked although it wanted to be left alone"


@pytest.mark.parametrize("order", [("openai", "anthropic"), ("anthropic", "openai")])
@pytest.mark.parametrize("fault", ["429", "503", "401", "cut", "stall", "cycle"])
async def test_the_next_provider_steps_in(order: tuple[str, str], fault: str) -> None:
    rule = Rule.model_validate({"fault": fault, "provider": order[0], "retry_after": 60})
    with played(rule) as stub:
        settings = choices(stub, *order, timeout=0.5, reasks=0)
        async with panel_for(settings) as panel:
            asked = attempt("plan", options=LLM)
            result = await plan(panel, asked)
    assert f"Planned by {order[1]}" in note_of(result)
    assert [call.provider for call in asked.calls] == list(order)
    assert asked.tokens == stub.tokens


@BOTH
async def test_a_wrong_key_ends_the_task_and_is_not_told_on(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with played(Rule(fault="401")) as stub:
        async with panel_for(choices(stub, kind)) as panel:
            asked = attempt("plan", options=LLM)
            with pytest.raises(CannotBeDone, match="401") as refused:
                await plan(panel, asked)
            silent = await plan(panel, attempt("plan"))
    assert stub.stub.requests == 2
    printed = capsys.readouterr()
    told = f"{refused.value} {asked.calls} {silent} {printed.out} {printed.err}"
    assert KEY not in told
    assert KEY not in repr(choices(stub, kind))


async def test_a_server_that_is_not_there_costs_nothing() -> None:
    with played() as stub:
        pass
    async with panel_for(choices(stub, "openai", patience=0.5)) as panel:
        asked = attempt("plan")
        result = await plan(panel, asked)
    assert "Planned by rules" in note_of(result)
    assert [(call.outcome, call.doubt_tokens) for call in asked.calls[:1]] == [("failed", 0)]


async def test_what_is_stopped_in_the_middle_of_a_call_tells_of_it() -> None:
    with played(Rule(fault="stall")) as stub:
        async with panel_for(choices(stub, "openai")) as panel:
            asked = attempt("plan")
            planning = asyncio.ensure_future(plan(panel, asked))
            while not stub.stub.requests:  # noqa: ASYNC110, RUF100 # it counts in a thread
                await asyncio.sleep(0.01)
            planning.cancel()
            with pytest.raises(asyncio.CancelledError):
                await planning
    assert [(call.outcome, call.reason) for call in asked.calls] == [("failed", "given up")]
    assert asked.calls[0].doubt_tokens > 0


async def test_without_a_model_the_rules_plan_and_say_so() -> None:
    asked = attempt("plan")
    result = await plan(None, asked)
    assert note_of(result) == "Planned by rules: no language model is set up."
    assert result["tasks"] == (await PLANNERS["CAD"].carries("plan")(asked.work))["tasks"]
    with pytest.raises(CannotBeDone, match="none is set up"):
        await plan(None, attempt("plan", options=LLM))


async def test_a_goal_may_want_the_rules() -> None:
    with played() as stub:
        async with panel_for(choices(stub, "openai")) as panel:
            result = await plan(panel, attempt("plan", options=Options(planner="rules")))
        async with panel_for(choices(stub, "openai", planner="rules")) as panel:
            other = await plan(panel, attempt("plan"))
    assert note_of(result) == note_of(other) == "Planned by rules: that is what was asked for."
    assert stub.stub.requests == 0


def test_agents_that_do_not_plan_goals_are_left_as_they_are() -> None:
    synthesis = PLANNERS["META_PLANNER"].actions["synthesize"]
    assert assisted(PLANNERS["META_PLANNER"], None).actions["synthesize"] is synthesis
