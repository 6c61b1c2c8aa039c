"""Reviews of proposed plans: a person approves, amends or rejects, and then work begins."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response
from pydantic import BaseModel, Field

from api.access import Who, may
from api.deps import Deps, Ports
from api.plans import Id, SubmittedGraph, require_plan
from api.reading import POSITION, snapshot, wait_for
from api.tags import IfMatch
from domain.plan import PlanStatus
from domain.recorded import derived_id
from domain.reviews import PlanReviewed, Verdict
from domain.tasks import Task
from domain.values import Text, Value
from projections.plans import PLANS

router = APIRouter(prefix="/plans/{plan_id}", tags=["plans"])


class Opinion(Value):
    """Who has looked at which revision, and what they say."""

    revision: Annotated[int, Field(ge=1)] | None = None
    """The revision that was looked at; without it, whichever there is."""

    author: Text = ""
    reason: Text = ""


class Amendment(Opinion):
    """The graph as it should be."""

    task_graph: SubmittedGraph


class Reviewed(BaseModel):
    """What has become of a plan."""

    plan_id: str
    status: PlanStatus
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewer:
    """Says what somebody thinks of a plan, and what has become of it."""

    plan_id: str
    ports: Deps
    response: Response
    key: str | None
    at_version: int | None
    actor: str

    async def say(
        self, verdict: Verdict, opinion: Opinion, tasks: tuple[Task, ...] = ()
    ) -> Reviewed:
        """Record a verdict, and wait until the view of plans tells it."""
        ports, plan_id = self.ports, self.plan_id
        async with snapshot(ports, PLANS) as read:
            row = await require_plan(read, plan_id)
        outcome = await ports.say(
            PlanReviewed(
                plan_id=plan_id,
                verdict=verdict,
                revision=opinion.revision or max(row.revision, 1),
                author=opinion.author,
                reason=opinion.reason,
                tasks=tasks,
            ),
            actor=self.actor,
            report_id=derived_id(plan_id, f"{verdict}/{self.actor}/{self.key or ports.new_id()}"),
            at_version=self.at_version,
        )
        position = outcome.position or await ports.head()
        await wait_for(ports, position, PLANS)
        self.response.headers[POSITION] = str(position)
        async with snapshot(ports, PLANS) as read:
            row = await require_plan(read, plan_id)
        return Reviewed(plan_id=plan_id, status=row.status, revision=row.revision)


async def _reviewer(
    caller: Who,
    plan_id: Id,
    ports: Ports,
    response: Response,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=200, description="Asked twice, done once.")
    ] = None,
    at_version: IfMatch = None,
) -> Reviewer:
    return Reviewer(
        plan_id=plan_id,
        ports=ports,
        response=response,
        key=idempotency_key,
        at_version=at_version,
        actor=caller.actor,
    )


Review = Annotated[Reviewer, Depends(_reviewer)]


@router.post("/approve", dependencies=[may("plan:steer")])
async def approve_plan(review: Review, opinion: Opinion | None = None) -> Reviewed:
    """Let a proposed plan be carried out; with ``auto_execute`` it begins at once."""
    return await review.say("approve", opinion or Opinion())


@router.post("/amend", dependencies=[may("plan:steer")])
async def amend_plan(review: Review, amendment: Amendment) -> Reviewed:
    """Put another graph in the place of the proposed one; it waits for a verdict again."""
    return await review.say("amend", amendment, amendment.task_graph.tasks)


@router.post("/reject", dependencies=[may("plan:steer")])
async def reject_plan(review: Review, opinion: Opinion | None = None) -> Reviewed:
    """Let a proposed plan never be carried out."""
    return await review.say("reject", opinion or Opinion())
