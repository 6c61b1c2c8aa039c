"""A task: one piece of work for one agent, as a planner writes it down."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self
from zlib import crc32

from pydantic import Field, StrictBool, model_validator

from domain.estimates import Estimate
from domain.usage import Budget
from domain.values import (
    Action,
    AgentType,
    Duration,
    ErrorClass,
    Name,
    PersonalName,
    PersonalObject,
    PersonalText,
    Role,
    TaskId,
    Value,
)

DELAYS = (1, 2, 4, 8, 16)
"""Seconds before attempt 2, 3, 4, 5 and 6."""

JITTERED: Mapping[int, int] = {1: 2, 2: 3, 4: 5, 8: 10, 16: 20}
"""What about half of the attempts wait instead, so that what failed together comes back apart."""

WAITS = tuple(sorted({*DELAYS, *JITTERED.values()}))
"""Every number of seconds that work may wait; each has a queue."""

Effect = Literal["none", "external"]
"""Whether carrying a task out changes something outside that a second time would change again."""


class RetryPolicy(Value):
    """How often a task is tried when attempts end without a result."""

    attempts: Annotated[int, Field(ge=1, le=6)] = 5
    """How many attempts may fail, all in all."""

    lost: Annotated[int, Field(ge=0, le=1_000)] = 20
    """How many attempts may be lost with their agents before the task fails."""

    on: tuple[ErrorClass, ...] = ("transient",)
    """Which classes of failures another attempt may help against."""

    unknown: Literal["never", "with_key"] = "never"
    """Whether an external effect whose outcome is unknown is tried again.

    ``with_key`` relies on the outside to recognise the key of the task, which stays the same."""

    def delay_after(self, failures: int, *, attempt: str) -> int:
        """Return the seconds to wait after that many failed attempts.

        ``attempt`` names the one that failed: the same name gives the same jitter.
        """
        delay = DELAYS[min(failures, len(DELAYS)) - 1]
        return JITTERED[delay] if crc32(attempt.encode()) & 1 else delay


Seconds = Annotated[float, Field(gt=0, le=315_360_000, allow_inf_nan=False)]


class Timeouts(Value):
    """How many seconds a task may take; what is not given is not limited."""

    start: Seconds | None = None
    """From its dispatch until an agent starts it."""

    run: Seconds | None = None
    """From the start of an attempt until its end."""

    heartbeat: Annotated[float, Field(ge=0.5, le=86_400)] | None = None
    """Between two heartbeats that name it, instead of the lease that agents have in general."""

    total: Seconds | None = None
    """From its first dispatch until its end, all attempts and pauses between them together."""


GatherRule = Literal["all", "quorum", "deadline"]
"""When a task that gathers the results of others begins.

``all``       when every one is there
``quorum``    as soon as enough are there
``deadline``  when every one is there, or has not come in time
"""


class Gather(Value):
    """How many of its inputs a task begins with."""

    rule: GatherRule = "all"
    answers: Annotated[int, Field(ge=1, le=10_000)] = 1
    """The least it begins with; where there are fewer inputs, all of them."""

    seconds: Seconds | None = None
    """How long each input may take under the rule ``deadline``, all attempts together."""

    @model_validator(mode="after")
    def _has_its_deadline(self) -> Self:
        if (self.rule == "deadline") != (self.seconds is not None):
            raise ValueError("the rule deadline needs seconds, and no other rule has any")
        return self


class Task(Value):
    """A node of a task graph."""

    id: TaskId
    name: PersonalName
    agent: AgentType
    role: Role = "execution"
    action: Action = "work"
    params: PersonalObject = Field(default_factory=dict)
    depends_on: tuple[TaskId, ...] = ()
    inputs: dict[Name, TaskId] = Field(default_factory=dict)
    """Results it needs: the name it gives each → the task that produces it, an edge as well."""

    gather: Gather | None = None
    """How many of its inputs it can begin with, where it does not need all."""

    duration: Duration = timedelta(hours=1)
    """How long it is estimated to take."""

    estimate: Estimate | None = Field(default=None, exclude_if=lambda estimate: estimate is None)
    """Where that comes from, where a planner says so."""

    cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    retry: RetryPolicy = RetryPolicy()
    timeouts: Timeouts = Timeouts()
    effect: Effect = "none"
    fallback: AgentType | None = None
    """Who carries it out when its own type has used up its attempts, or does not start it."""

    origin: PersonalText = ""
    """Which planner proposed it, by which rule."""

    deliverable: StrictBool = False
    """Whether its result is one of the things the goal asked for."""

    budget: Budget | None = Field(default=None, exclude_if=lambda budget: budget is None)
    """What language models may cost it, all its attempts together."""

    @property
    def needs(self) -> tuple[TaskId, ...]:
        """The tasks that have to end well before this one can start, each once, in order of id."""
        if not self.inputs:
            return (
                self.depends_on if len(self.depends_on) < 2 else tuple(sorted(set(self.depends_on)))
            )
        return tuple(sorted({*self.depends_on, *self.inputs.values()}))
