"""A task: one piece of work for one agent, as a planner writes it down."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from domain.values import Action, AgentType, Duration, JsonObject, Name, Role, TaskId, Text, Value

DELAYS = (1, 2, 4, 8, 16)
"""Seconds before attempt 2, 3, 4, 5 and 6."""


class RetryPolicy(Value):
    """How often a task is tried when attempts fail for reasons of the world."""

    attempts: Annotated[int, Field(ge=1, le=6)] = 5
    """How many attempts may fail, all in all."""

    lost: Annotated[int, Field(ge=0, le=1_000)] = 20
    """How many attempts may be lost with their agents before the task fails."""

    def delay_after(self, failures: int) -> int:
        """Return the seconds to wait after that many failed attempts."""
        return DELAYS[min(failures, len(DELAYS)) - 1]


class Task(Value):
    """A node of a task graph."""

    id: TaskId
    name: Name
    agent: AgentType
    role: Role = "execution"
    action: Action = "work"
    params: JsonObject = Field(default_factory=dict)
    depends_on: tuple[TaskId, ...] = ()
    inputs: dict[Name, TaskId] = Field(default_factory=dict)
    """Results it needs: the name it gives each → the task that produces it, an edge as well."""

    duration: Duration = timedelta(hours=1)
    """How long it is estimated to take."""

    cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    retry: RetryPolicy = RetryPolicy()
    origin: Text = ""
    """Which planner proposed it, by which rule."""

    deliverable: bool = False
    """Whether its result is one of the things the goal asked for."""

    @property
    def needs(self) -> tuple[TaskId, ...]:
        """The tasks that have to end well before this one can start, each once, in order of id."""
        if not self.inputs:
            return (
                self.depends_on if len(self.depends_on) < 2 else tuple(sorted(set(self.depends_on)))
            )
        return tuple(sorted({*self.depends_on, *self.inputs.values()}))
