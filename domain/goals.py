"""A goal: what a user wants, and how it may be pursued."""

from typing import Annotated

from pydantic import ConfigDict, Field

from domain.run_options import Parallelization, RunOptions
from domain.values import JsonObject, Name, Priority, Text, Value


class Constraints(Value):
    """What bounds a goal; further constraints are kept and passed to the planners."""

    model_config = ConfigDict(frozen=True, extra="allow")

    timeline: Name | None = None
    """How long it may take, as people write it: ``30 days``."""

    budget: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    compliance: tuple[Name, ...] = ()
    """The standards that apply."""


class Goal(Value):
    """What a user wants."""

    title: Name
    description: Text = ""
    domain: Name = "general"
    constraints: Constraints = Constraints()
    priority: Priority = "normal"
    context: JsonObject = Field(default_factory=dict)
    """Facts about the thing wanted, for the agents: masses, dimensions, quantities."""


class Options(Value):
    """How a goal is pursued."""

    auto_execute: bool = False
    enable_replanning: bool = True
    parallelization: Parallelization = "balanced"
    execution: RunOptions | None = None
    """How its runs are carried out, where the two above do not say enough."""
