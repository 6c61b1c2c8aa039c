"""The words that reports and events are made of: ids, names, priorities, JSON."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
)

type_pattern = r"^[A-Z][A-Z0-9_]{0,31}$"

PlanId = Annotated[str, StringConstraints(pattern=r"^plan_[A-Za-z0-9-]{1,100}$")]
"""A plan, ``plan_`` and a sortable part."""

RunId = Annotated[str, StringConstraints(pattern=r"^exec_[A-Za-z0-9-]{1,110}$")]
"""A run (in the API: an execution), ``exec_`` and a sortable part."""

TaskId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
"""A task, unique within its graph."""

AgentId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
"""An agent, chosen by whoever registers it."""

AgentType = Annotated[str, StringConstraints(pattern=type_pattern)]
"""What an agent is for: META_PLANNER, META, CAD, SIM, COMP, SUPP, or a user's own."""

Action = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
"""What an agent of a type is asked to do."""

Epoch = Annotated[int, Field(ge=1, le=1_000_000)]
"""The number of an attempt at a task; it only grows."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=4_000)]
JsonObject = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Personal:
    """Marks what may tell of a person: it is encrypted in the log, and can be forgotten."""


PersonalName = Annotated[Name, Personal()]
PersonalText = Annotated[Text, Personal()]
PersonalObject = Annotated[JsonObject, Personal()]


def _as_written(given: object) -> object:
    """Refuse a time that is a number: nobody knows whether of seconds or of what else."""
    is_number = isinstance(given, int | float) or (
        isinstance(given, str) and _NUMBER.fullmatch(given)
    )
    if is_number:
        raise ValueError("write a time as RFC 3339 does: 2026-01-31T12:00:00Z")
    return given


_NUMBER = re.compile(r"\s*[-+]?[\d._eE+-]+\s*")
Instant = Annotated[AwareDatetime, BeforeValidator(_as_written)]
"""A moment with its offset from UTC, as people and other systems write it."""

RunKind = Literal["planning", "execution", "replanning"]
"""What a run is for."""

TaskStatus = Literal[
    "pending", "dispatched", "started", "completed", "failed", "lost", "skipped", "cancelled"
]
"""Where a task stands."""

RunStatus = Literal["running", "paused", "completed", "failed", "cancelled"]
"""Where a run stands."""

Role = Literal["planning", "execution"]
"""Which kind of its agents' work a task is."""

Priority = Literal["critical", "high", "normal", "low"]

Lane = Annotated[Priority, BeforeValidator(lambda said: "high" if said == "priority" else said)]
"""Work of each priority has a queue of its own, so that the urgent overtakes.

Events of version 0.1 say ``priority`` where critical and high work still shared a queue.
"""

ErrorClass = Literal["transient", "validation", "business", "critical"]
"""Why an attempt failed: only a transient failure is tried again."""

Duration = Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=3650))]


class Value(BaseModel):
    """A frozen piece of a report or an event; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_timedelta="iso8601")
