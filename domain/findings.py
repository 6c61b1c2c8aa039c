"""What synthesis finds on its way from the domains' plans to one graph."""

from typing import Final, Literal

from domain.values import AgentType, PersonalName, PersonalText, PlanId, RunId, TaskId, Value

ConflictKind = Literal["resource", "artefact", "order", "constraint"]
"""What two sides do not agree about.

``resource``    what only one can have at a time, or more work than its agents can do
``artefact``    who produces it
``order``       who comes first
``constraint``  a bound on a quantity, or what the goal allows
"""

MOST_FINDINGS: Final = 50
"""How many of a kind a plan remembers; what is more is only counted."""

GOAL: Final[AgentType] = "GOAL"
"""The side of whoever submitted the goal."""


class Origin(Value):
    """One side of a conflict: a task as its domain proposed it, or a constraint of the goal."""

    domain: AgentType
    key: PersonalName
    """The proposal's key in its domain's plan, or the constraint's name."""

    rule: PersonalText = ""
    """By which rule the domain proposed it."""

    task_id: TaskId | None = None
    """The task of the graph that stands for it now, if one does."""


class Conflict(Value):
    """Two sides that do not agree, and what was made of it."""

    kind: ConflictKind
    subject: PersonalName
    """What it is about: an artefact, a resource, a quantity."""

    origins: tuple[Origin, Origin]
    decision: PersonalText


class PlanConflictDetected(Value):
    """The domains' plans did not agree; the graph follows the decision."""

    type: Literal["plan.conflict_detected"] = "plan.conflict_detected"
    plan_id: PlanId
    run_id: RunId
    conflict: Conflict
