"""How a run is carried out: how much of it at once, and what a failure leads to."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.values import AgentType, Value

ExecutionMode = Literal["parallel", "sequential"]
"""Sequential: one task after the other, whatever the graph would allow."""

Parallelization = Literal["conservative", "balanced", "aggressive"]

FailureStrategy = Literal["retry", "replan", "fail_fast", "best_effort"]
"""What happens when a task has failed for good, after its own attempts.

``retry``       what needs it is skipped, the rest goes on, and the run fails in the end
``replan``      the same, and a plan around the failure is asked for
``fail_fast``   the rest is cancelled at once
``best_effort`` the same as retry, but the run completes and says what is missing
"""

MOST_AT_ONCE: Final[Mapping[Parallelization, int | None]] = {
    "conservative": 1,
    "balanced": 1_000,
    "aggressive": None,
}
"""Tasks of one agent type that may be dispatched or started at a time; None for any number."""

AGENTS: Final[Mapping[Parallelization, int | None]] = {
    "conservative": 1,
    "balanced": 4,
    "aggressive": None,
}
"""Agents of one type that a schedule counts on; None for as many as it can use.

Work is dispatched to as many as there are: this is what a plan promises before it knows them.
"""


class RunOptions(Value):
    """How a run is carried out."""

    execution_mode: ExecutionMode = "parallel"
    parallelization: Parallelization = "aggressive"
    failure_strategy: FailureStrategy = "retry"
    limits: dict[AgentType, Annotated[int, Field(ge=1, le=100_000)]] = Field(default_factory=dict)
    """Tasks of an agent type that may be under way at a time, where it is not what the
    parallelization says."""

    checkpoint_interval: Annotated[timedelta, Field(ge=timedelta(seconds=1))] | None = None
    """How often a checkpoint is recorded, besides those of pauses."""

    def most_at_once(self, agent_type: str) -> int | None:
        """Return how many tasks of a type may be under way at a time; None for any number."""
        return self.limits.get(agent_type, MOST_AT_ONCE[self.parallelization])

    def agents_of(self, agent_type: str) -> int | None:
        """Return how many agents of a type a schedule counts on; None for any number."""
        return self.limits.get(agent_type, AGENTS[self.parallelization])
