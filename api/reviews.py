"""Reviews of proposed plans: a person approves, amends or rejects, and then work begins."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.access import may
from api.asked import Asked
from api.commanding import Command, Commander
from api.plans import Id, SubmittedGraph, require_plan
from api.reading import snapshot
from domain.plan import PlanStatus
from domain.reviews import PlanReviewed, Verdict
from domain.tasks import Task
from domain.values import Text
from projections.plans import PLANS

router = APIRouter(prefix="/plans/{plan_id}", tags=["plans"])


class Opinion(Asked):
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


@router.post("/approve", dependencies=[may("plan:steer")])
async def approve_plan(plan_id: Id, command: Command, opinion: Opinion | None = None) -> Reviewed:
    """Let a proposed plan be carried out; with ``auto_execute`` it begins at once."""
    return await _review(command, plan_id, "approve", opinion or Opinion())


@router.post("/amend", dependencies=[may("plan:steer")])
async def amend_plan(plan_id: Id, command: Command, amendment: Amendment) -> Reviewed:
    """Put another graph in the place of the proposed one; it waits for a verdict again."""
    return await _review(command, plan_id, "amend", amendment, amendment.task_graph.tasks)


@router.post("/reject", dependencies=[may("plan:steer")])
async def reject_plan(plan_id: Id, command: Command, opinion: Opinion | None = None) -> Reviewed:
    """Let a proposed plan never be carried out."""
    return await _review(command, plan_id, "reject", opinion or Opinion())


async def _review(
    command: Commander,
    plan_id: str,
    verdict: Verdict,
    opinion: Opinion,
    tasks: tuple[Task, ...] = (),
) -> Reviewed:
    """Record a verdict, and wait until the view of plans tells it."""
    async with snapshot(command.ports, PLANS) as read:
        row = await require_plan(read, plan_id)
    report = PlanReviewed(
        plan_id=plan_id,
        verdict=verdict,
        revision=opinion.revision or max(row.revision, 1),
        author=opinion.author,
        reason=opinion.reason,
        tasks=tasks,
    )
    outcome = await command.say(report, about=verdict)
    await command.see(outcome, PLANS)
    async with snapshot(command.ports, PLANS) as read:
        row = await require_plan(read, plan_id)
    return Reviewed(plan_id=plan_id, status=row.status, revision=row.revision)
