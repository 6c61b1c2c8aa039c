"""How long work takes: what a planner's rule supposes, and what the log has recorded.

Once the log has seen an action often enough it is believed instead of the rule: the median is the
estimate, and nine times in ten it takes at most the second number.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from domain.values import Action, AgentType, Value

ENOUGH: Final = 5
"""How many recorded durations are believed."""

RULE_CONFIDENCE: Final = 0.5
"""Of a rule nobody knows how often it is right."""

MOST_EFFORTS: Final = 200
"""How many kinds of work a plan is told about, the most frequent ones."""

Span = Annotated[float, Field(ge=0, le=315_360_000, allow_inf_nan=False)]


class Effort(Value):
    """What the log says of one kind of work, in seconds from start to completion."""

    agent: AgentType
    action: Action
    count: Annotated[int, Field(ge=1)]
    p50: Span
    p90: Span

    @property
    def confidence(self) -> float:
        """From 0, nobody knows, to 1, always the same: n / (n + 5) times p50 / p90."""
        steadiness = self.p50 / self.p90 if self.p90 else 1.0
        return round(self.count / (self.count + ENOUGH) * min(1.0, steadiness), 4)


class Estimate(Value):
    """Where the duration of a task comes from."""

    source: Literal["rule", "log"]
    confidence: Annotated[float, Field(ge=0, le=1)]
    count: Annotated[int, Field(ge=0)] = 0
    """How many recorded durations it is made of."""

    p90: Span | None = None
    """Seconds that are enough nine times in ten, where that is known."""


BY_RULE: Final = Estimate(source="rule", confidence=RULE_CONFIDENCE)


def by_log(effort: Effort) -> Estimate:
    """Return what an estimate from the log says of itself."""
    return Estimate(source="log", confidence=effort.confidence, count=effort.count, p90=effort.p90)
