"""Providers are asked no faster than they allow, and no more of them at once than is good."""

import asyncio
import time
from dataclasses import dataclass, field

import pytest

from agents.agent import TryAgain
from agents.llm.choices import Choices, Kind, Provider
from agents.llm.model import Asked, NoReply, Reply
from agents.llm.panel import Panel
from domain.goals import Goal, Options
from infra.llm_stub.scenario import Rule
from tests.agents.llm.asking import attempt, choices, note_of, panel_for, plan
from tests.support.stubs import played

LLM = Options(planner="llm")
OTHER = Goal(title="Design a bracket", description="Create it", domain="automotive")


def slowly(settings: Choices, kind: Kind, **limits: int) -> Choices:
    """Return settings in which one provider is asked no faster than this."""
    provider = settings.provider(kind).model_copy(update=limits)
    return settings.model_copy(update={kind: provider})


@pytest.mark.parametrize("limits", [{"calls_per_minute": 1}, {"tokens_per_minute": 100}])
async def test_the_next_provider_steps_in_where_the_first_was_asked_enough(
    limits: dict[str, int],
) -> None:
    with played() as stub:
        settings = slowly(choices(stub, "openai", "anthropic"), "openai", **limits)
        async with panel_for(settings) as panel:
            first, second = attempt("plan", options=LLM), attempt("plan", OTHER, options=LLM)
            await plan(panel, first)
            await plan(panel, second)
    assert [call.provider for call in first.calls] == ["openai"]
    assert [call.provider for call in second.calls] == ["anthropic"]


async def test_who_is_asked_enough_is_waited_for_where_it_is_soon_free_again() -> None:
    with played(Rule(tokens=60_000)) as stub:
        settings = slowly(choices(stub, "openai"), "openai", tokens_per_minute=60_000)
        async with panel_for(settings) as panel:
            first, second = attempt("plan", options=LLM), attempt("plan", OTHER, options=LLM)
            await plan(panel, first)
            debt = first.tokens - 60_000
            began = time.monotonic()
            await plan(panel, second)
    assert debt > 500, "the question itself has tokens"
    assert time.monotonic() - began >= debt / 1_000 - 0.2
    assert [call.outcome for call in second.calls] == ["answered"]


async def test_who_waits_in_vain_is_told_why_and_can_plan_by_rules() -> None:
    with played() as stub:
        settings = slowly(choices(stub, "openai", patience=0.5), "openai", calls_per_minute=1)
        async with panel_for(settings) as panel:
            await plan(panel, attempt("plan"))
            assert "1 calls and 90000 tokens a minute are used up" in note_of(
                await plan(panel, attempt("plan", OTHER))
            )
            with pytest.raises(
                TryAgain, match=r"openai-model: it is left alone for [5-6][0-9] s more"
            ):
                await plan(panel, attempt("plan", OTHER, options=LLM))
    assert stub.stub.requests == 1


async def test_no_more_calls_are_under_way_than_are_allowed() -> None:
    model = Busy()
    settings = Choices(most_at_once=2, most_calls=1, openai={"key": "k"}, order=("openai",))

    def make(kind: Kind, provider: Provider, name: str, timeout: float) -> Busy:
        del kind, provider, name, timeout
        return model

    panel = Panel(settings, make=make)
    await asyncio.gather(*(plan(panel, attempt("plan")) for _ in range(9)))
    assert model.calls == 9
    assert model.most == 2


@dataclass
class Busy:
    """A model that counts how many ask it at a time, and has no answer."""

    calls: int = 0
    most: int = 0
    asking: set[int] = field(default_factory=set[int])
    provider: str = "openai"
    name: str = "busy"

    def cost(self, input_tokens: int, output_tokens: int) -> float | None:
        del input_tokens, output_tokens
        return 0.0

    async def ask(self, asked: Asked) -> Reply:
        del asked
        self.calls += 1
        number = self.calls
        self.asking.add(number)
        self.most = max(self.most, len(self.asking))
        await asyncio.sleep(0.01)
        self.asking.remove(number)
        raise NoReply("busy", is_lasting=True)

    async def aclose(self) -> None:
        """Nothing is open."""
