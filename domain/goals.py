"""A goal: what a user wants, and how it may be pursued."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StrictBool, model_validator

from domain.run_options import Parallelization, RunOptions
from domain.tasks import Gather
from domain.usage import Budget
from domain.values import (
    Name,
    Personal,
    PersonalName,
    PersonalObject,
    PersonalText,
    Priority,
    Value,
)

Planning = Literal["scatter", "pipeline"]
"""Who plans when.

``scatter``   all domains at once, and each knows the goal alone
``pipeline``  one domain after the other, and each knows what the earlier ones propose
"""


Estimates = Literal["log", "rules"]
"""Where durations come from: ``log`` what was recorded, as far as it was; ``rules`` never that."""

Planner = Literal["auto", "rules", "llm"]
"""Who plans: ``llm`` a language model or nobody, ``auto`` the rules where none is of help."""


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

    title: PersonalName
    description: PersonalText = ""
    domain: Name = "general"
    constraints: Annotated[Constraints, Personal()] = Constraints()
    priority: Priority = "normal"
    context: PersonalObject = Field(default_factory=dict)
    """Facts about the thing wanted, for the agents: masses, dimensions, quantities."""


class Options(Value):
    """How a goal is pursued."""

    auto_execute: StrictBool = False
    enable_replanning: StrictBool = True
    parallelization: Parallelization = "balanced"
    execution: RunOptions | None = None
    """How its runs are carried out, where the two above do not say enough."""

    optimize: Annotated[float, Field(ge=0, le=300, allow_inf_nan=False)] = 0.0
    """Seconds that a solver may take to make the schedule shorter, where it is installed."""

    estimates: Estimates = Field(default="log", exclude_if=lambda estimates: estimates == "log")
    """Whether recorded durations replace those of the rules."""

    review: StrictBool = Field(default=False, exclude_if=lambda review: not review)
    """Whether a person has to approve of the plan before it can be carried out."""

    planning: Planning = "scatter"
    gather: Gather = Gather()
    """How many of the scattered domains have to answer before their plans are linked."""

    planner: Planner = Field(default="auto", exclude_if=lambda planner: planner == "auto")
    model_budget: Budget | None = Field(default=None, exclude_if=lambda budget: budget is None)
    """What language models may cost while they plan it."""

    @model_validator(mode="after")
    def _gathers_what_it_scatters(self) -> Self:
        if self.planning == "pipeline" and self.gather.rule != "all":
            raise ValueError("a pipeline needs every domain: gather belongs to planning scatter")
        return self
