"""Reviews: a person looks at a proposed plan before anything of it is carried out."""

from typing import Annotated, Literal

from pydantic import Field

from domain.errors import Conflict
from domain.run_options import RunOptions
from domain.tasks import Task
from domain.values import PersonalText, PlanId, Priority, Value

Verdict = Literal["approve", "amend", "reject"]


class PlanReviewed(Value):
    """A person says what is to become of a proposed plan."""

    type: Literal["plan.reviewed"] = "plan.reviewed"
    plan_id: PlanId
    verdict: Verdict
    revision: Annotated[int, Field(ge=1)]
    """The revision that was looked at: another one has to be looked at again."""

    author: PersonalText = ""
    reason: PersonalText = ""
    tasks: tuple[Task, ...] = ()
    """The graph as it should be, where it is amended."""


class PlanApproved(Value):
    """A person has approved of the plan; it may be carried out."""

    type: Literal["plan.approved"] = "plan.approved"
    plan_id: PlanId
    revision: int
    author: PersonalText
    reason: PersonalText
    tasks: tuple[Task, ...]
    priority: Priority
    auto_execute: bool
    run: RunOptions


class PlanRejected(Value):
    """A person does not want the plan to be carried out."""

    type: Literal["plan.rejected"] = "plan.rejected"
    plan_id: PlanId
    revision: int
    author: PersonalText
    reason: PersonalText


class NotUnderReview(Conflict):
    """A verdict was given on a plan that waits for none, or on another revision of it."""

    code = "not-under-review"

    def __init__(self, plan_id: str, why: str) -> None:
        super().__init__(f"plan {plan_id} {why}")
