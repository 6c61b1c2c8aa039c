"""Reviews of proposed plans: a person approves, amends or rejects, and then work begins."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field

from api.access import Who, may
from api.deps import Ports
from api.plans import Id, SubmittedGraph, require_plan
from api.reading import POSITION, snapshot, wait_for
from api.tags import IfMatch
from domain.identity import Caller
from domain.plan import PlanStatus
from domain.recorded import derived_id
from domain.reviews import PlanReviewed, Verdict
from domain.tasks import Task
from domain.values import Text, Value
from projections.plans import PLANS

router = APIRouter(prefix="/plans/{plan_id}", tags=["plans"])

_Key = Annotated[
    str | None, Header(min_length=1, max_length=200, description="Asked twice, done once.")
]


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


@router.post("/approve", dependencies=[may("plan:steer")])
async def approve_plan(
    caller: Who,
    plan_id: Id,
    ports: Ports,
    response: Response,
    opinion: Opinion | None = None,
    idempotency_key: _Key = None,
    at_version: IfMatch = None,
) -> Reviewed:
    """Let a proposed plan be carried out; with ``auto_execute`` it begins at once."""
    said = opinion or Opinion()
    return await _say(
        caller, plan_id, "approve", said, (), ports, response, idempotency_key, at_version
    )


@router.post("/amend", dependencies=[may("plan:steer")])
async def amend_plan(
    caller: Who,
    plan_id: Id,
    amendment: Amendment,
    ports: Ports,
    response: Response,
    idempotency_key: _Key = None,
    at_version: IfMatch = None,
) -> Reviewed:
    """Put another graph in the place of the proposed one; it waits for a verdict again."""
    tasks = amendment.task_graph.tasks
    return await _say(
        caller, plan_id, "amend", amendment, tasks, ports, response, idempotency_key, at_version
    )


@router.post("/reject", dependencies=[may("plan:steer")])
async def reject_plan(
    caller: Who,
    plan_id: Id,
    ports: Ports,
    response: Response,
    opinion: Opinion | None = None,
    idempotency_key: _Key = None,
    at_version: IfMatch = None,
) -> Reviewed:
    """Let a proposed plan never be carried out."""
    said = opinion or Opinion()
    return await _say(
        caller, plan_id, "reject", said, (), ports, response, idempotency_key, at_version
    )


async def _say(
    caller: Caller,
    plan_id: str,
    verdict: Verdict,
    opinion: Opinion,
    tasks: tuple[Task, ...],
    ports: Ports,
    response: Response,
    key: str | None,
    at_version: int | None,
) -> Reviewed:
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
        actor=caller.actor,
        report_id=derived_id(plan_id, f"{verdict}/{caller.actor}/{key or ports.new_id()}"),
        at_version=at_version,
    )
    position = outcome.position or await ports.head()
    await wait_for(ports, position, PLANS)
    response.headers[POSITION] = str(position)
    async with snapshot(ports, PLANS) as read:
        row = await require_plan(read, plan_id)
    return Reviewed(plan_id=plan_id, status=row.status, revision=row.revision)
