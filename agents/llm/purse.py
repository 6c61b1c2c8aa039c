"""What one attempt at a task may still spend on models: asked before each call, told after it."""

from typing import Final, TypeVar

from agents.agent import Charge
from agents.llm.choices import Choices
from agents.llm.model import Asked, Model
from domain.errors import Refused
from domain.usage import NOTHING, Budget, ModelCall, left_of

LEAST_OUTPUT: Final = 256
"""Tokens; an answer that may have fewer is not asked for."""

N = TypeVar("N", int, float)

_OVERHEAD: Final = 600
"""Tokens that providers add to a request, for tools above all."""


class BudgetSpent(Refused):
    """One more call might pass the budget."""

    code = "budget-spent"


class Purse:
    """The money for one attempt."""

    def __init__(self, budget: Budget | None, choices: Choices, charge: Charge) -> None:
        """Take what the task may cost; the settings can only lower it."""
        self._budget = Budget(
            tokens=_least(budget and budget.tokens, choices.most_tokens),
            cost=_least(budget and budget.cost, choices.most_cost),
        )
        self._most_input = choices.most_input
        self._charge = charge
        self._spent = NOTHING

    def allow(self, model: Model, asked: Asked) -> int:
        """Return how many tokens the answer to a request may have.

        Raises:
            BudgetSpent: The request with a short answer might cost more than is left.
        """
        most_input = bound(asked)
        if most_input > self._most_input:
            raise BudgetSpent(f"the question may have {most_input} tokens; {self._most_input} may")
        left = left_of(self._budget, self._spent)
        allowed = asked.most_output
        if left.tokens is not None:
            allowed = min(allowed, left.tokens - most_input)
        if left.cost is not None:
            allowed = min(allowed, self._affordable(model, most_input, left.cost))
        if allowed < LEAST_OUTPUT:
            raise BudgetSpent(f"the budget has {_words(left)} left, and one more call may pass it")
        return allowed

    def settle(self, call: ModelCall) -> None:
        """Account for a call."""
        self._spent = self._spent.plus([call])
        self._charge(call)

    def _affordable(self, model: Model, most_input: int, left: float) -> int:
        costs = model.cost(most_input, 0), model.cost(most_input, 1_000)
        if costs[0] is None or costs[1] is None:
            raise BudgetSpent(f"nobody knows what {model.name} costs, and money is bounded")
        for_thousand = costs[1] - costs[0]
        if costs[0] > left:
            return 0
        return int((left - costs[0]) / for_thousand * 1_000) if for_thousand else 10**9


def bound(asked: Asked) -> int:
    """Return how many tokens a request has at most, in all likelihood: it counts one for two bytes.

    English has about one for four bytes, most other scripts one for two or three.
    """
    said = f"{asked.instructions}{asked.data}{asked.schema}"
    return len(said.encode()) // 2 + _OVERHEAD


def _least(one: N | None, other: N | None) -> N | None:
    bounds = [each for each in (one, other) if each is not None]
    return min(bounds, default=None)


def _words(left: Budget) -> str:
    parts = [
        *([f"{left.tokens} tokens"] if left.tokens is not None else []),
        *([f"${left.cost:.4f}"] if left.cost is not None else []),
    ]
    return " and ".join(parts)
