"""What language models cost: each call, what a budget has left, and how it is shared.

An agent knows no record. What it spent travels in its reports, whatever became of the attempt, and
what it may spend travels with its work: a share of the budget, less what earlier attempts spent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.values import Name, PersonalText, Text, Value

MOST_CALLS: Final = 100
"""Calls that one report tells apart; of more, equal ones are added up."""

Tokens = Annotated[int, Field(ge=0, le=10**12)]
Dollars = Annotated[float, Field(ge=0, le=10**9, allow_inf_nan=False)]

CallOutcome = Literal["answered", "malformed", "failed", "cached"]
"""``malformed``: there was an answer, and it could not be used. ``cached`` costs nothing."""


class ModelCall(Value):
    """One call of a language model, or several that are added up."""

    provider: Name
    model: Name
    outcome: CallOutcome
    count: Annotated[int, Field(ge=1, le=10**9)] = 1
    input_tokens: Tokens = 0
    output_tokens: Tokens = 0
    cost: Dollars | None = None
    """In US dollars; None where nobody knows the price, which is not nothing."""

    doubt_tokens: Tokens = 0
    """What it may have cost besides at most, where nobody heard its end."""

    doubt_cost: Dollars = 0.0
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    prompt: Text = ""
    """Which prompt it was, and in which version."""

    reason: PersonalText = ""
    """Why it failed, or what was wrong with the answer."""


Calls = Annotated[tuple[ModelCall, ...], Field(max_length=MOST_CALLS)]


class Budget(Value):
    """What calls may cost at most; a bound that is not given does not bind."""

    tokens: Tokens | None = None
    cost: Dollars | None = None
    """In US dollars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What calls have cost, doubts included."""

    tokens: int = 0
    cost: float = 0.0

    def plus(self, calls: Iterable[ModelCall]) -> "Spending":
        """Return what was spent with some more calls."""
        tokens, cost = self.tokens, self.cost
        for call in calls:
            tokens += call.input_tokens + call.output_tokens + call.doubt_tokens
            cost += (call.cost or 0.0) + call.doubt_cost
        return Spending(tokens=tokens, cost=cost)


NOTHING: Final = Spending()


def left_of(budget: Budget, spent: Spending) -> Budget:
    """Return what a budget has left; what was overspent leaves nothing."""
    return Budget(
        tokens=None if budget.tokens is None else max(0, budget.tokens - spent.tokens),
        cost=None if budget.cost is None else max(0.0, budget.cost - spent.cost),
    )


def share_of(budget: Budget, heirs: int) -> Budget:
    """Return what each of some heirs gets, so that all together get no more than there is."""
    return Budget(
        tokens=None if budget.tokens is None else budget.tokens // heirs,
        cost=None if budget.cost is None else budget.cost / heirs,
    )


def told(calls: Sequence[ModelCall]) -> tuple[ModelCall, ...]:
    """Return calls as a report tells them: each, or, where they are many, those alike added up."""
    if len(calls) <= MOST_CALLS:
        return tuple(calls)
    alike: dict[tuple[str, str, str, bool], ModelCall] = {}
    for call in calls:
        key = (call.provider, call.model, call.outcome, call.cost is None)
        alike[key] = _sum(alike[key], call) if key in alike else call
    return tuple(alike.values())[:MOST_CALLS]


def _sum(one: ModelCall, other: ModelCall) -> ModelCall:
    return one.model_copy(
        update={
            "count": one.count + other.count,
            "input_tokens": one.input_tokens + other.input_tokens,
            "output_tokens": one.output_tokens + other.output_tokens,
            "cost": None if one.cost is None else one.cost + (other.cost or 0.0),
            "doubt_tokens": one.doubt_tokens + other.doubt_tokens,
            "doubt_cost": one.doubt_cost + other.doubt_cost,
            "seconds": one.seconds + other.seconds,
            "reason": other.reason or one.reason,
        }
    )
