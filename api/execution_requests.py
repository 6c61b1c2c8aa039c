"""How an execution is asked for."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictBool

from api.asked import Asked
from api.durations import parse_duration
from domain.run_options import ExecutionMode, FailureStrategy, Parallelization, RunOptions
from domain.values import AgentType, PlanId, Value


def understood(given: object) -> object:
    """Return a duration that people wrote as one that machines read."""
    if not isinstance(given, str):
        return given
    duration = parse_duration(given)
    if duration is None:
        raise ValueError("is not a duration; write it like '1 hour' or 'PT1H'")
    return duration


class ExecutionOptions(Value):
    """How a plan is executed; what is not given is as the plan has it."""

    dry_run: StrictBool = False
    """Only say what would start."""

    parallelization: Parallelization | None = None
    failure_strategy: FailureStrategy | Literal["continue"] | None = None
    """What happens after a task has failed for good; ``continue`` is another word for ``retry``."""

    limits: dict[AgentType, Annotated[int, Field(ge=1, le=100_000)]] | None = None
    """How many tasks of an agent type may be under way at a time."""

    checkpoint_interval: (
        Annotated[timedelta, Field(ge=timedelta(seconds=1)), BeforeValidator(understood)] | None
    ) = None
    """How often a checkpoint is marked, besides those of pauses: ``1 hour``."""


class ExecutionRequest(Asked):
    """Which plan is executed, and how."""

    plan_id: PlanId
    execution_mode: ExecutionMode | None = None
    options: ExecutionOptions = ExecutionOptions()

    def over(self, usual: RunOptions) -> RunOptions:
        """Return how the run is carried out: as usual, where nothing else was asked for."""
        asked = self.options
        said = {
            "execution_mode": self.execution_mode,
            "parallelization": asked.parallelization,
            "failure_strategy": (
                "retry" if asked.failure_strategy == "continue" else asked.failure_strategy
            ),
            "limits": asked.limits,
            "checkpoint_interval": asked.checkpoint_interval,
        }
        return usual.model_copy(
            update={name: each for name, each in said.items() if each is not None}
        )
