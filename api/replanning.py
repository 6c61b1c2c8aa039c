"""Asking for another graph: of the run that carries a plan out, or of a plan that nobody does."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Header, Query, Response
from pydantic import BeforeValidator, Field

from api.access import Who, may
from api.asked import Asked
from api.deps import Deps, Ports
from api.execution_requests import understood
from api.plans import Id
from api.reading import POSITION
from api.revision_answers import ReplanAnswer, changes_of, impact_of
from api.tags import IfMatch
from bus.recorder import Outcome
from domain.errors import PlanNotReady, StreamMovedOn, UnknownPlan, UnknownRun
from domain.identity import Caller
from domain.plan import Plan
from domain.recorded import derived_id
from domain.revisions import PlanReplanning, PlanReplanRequested
from domain.runs_of_plans import execution_of
from domain.steering import RunReplanRequested
from domain.values import AgentType, TaskId, Text, Value
from projections.revisions import RevisionRow, step_of

router = APIRouter(prefix="/plans/{plan_id}", tags=["plans"])

_BEGINS = 2.0
"""Seconds that an answer waits for the planning to begin, so that it can tell its id."""

_PAUSE = 0.05


def _kept(given: object) -> object:
    """Return what was given, unless somebody wants what is done to be done again."""
    if given is False:
        raise ValueError("what is completed stays completed: there is no other way")
    return given


class ReplanConstraints(Value):
    """What another graph has to respect."""

    preserve_completed: Annotated[Literal[True], BeforeValidator(_kept)] = True
    """What is done is never done again: there is no other way."""

    max_delay: (
        Annotated[
            timedelta,
            Field(ge=timedelta(seconds=1), le=timedelta(days=3_650)),
            BeforeValidator(understood),
        ]
        | None
    ) = None
    """By how much the end may move: ``2 days``."""


class ReplanRequest(Asked):
    """Why another graph is wanted."""

    reason: Text = ""
    failed_task_id: TaskId | None = None
    agent_type: AgentType | None = None
    """The type of agents that is not there any more."""

    constraints: ReplanConstraints = ReplanConstraints()

    @property
    def max_delay(self) -> float | None:
        """By how many seconds the end may move."""
        allowed = self.constraints.max_delay
        return None if allowed is None else allowed.total_seconds()


@router.post("/replan", status_code=202, dependencies=[may("plan:steer")])
async def replan(
    caller: Who,
    plan_id: Id,
    ports: Ports,
    response: Response,
    asked: ReplanRequest | None = None,
    wait: Annotated[float, Query(ge=0, le=60, description="Seconds to wait for the answer.")] = 0,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=200, description="Asked twice, done once.")
    ] = None,
    at_version: IfMatch = None,
) -> ReplanAnswer:
    """Ask the planners for another graph; what is done stays done, and a live run goes on."""
    plan, version = cast("tuple[Plan | None, int]", await ports.streams.load(plan_id))
    if plan is None:
        raise UnknownPlan(plan_id)
    wish = derived_id(plan_id, f"replan/{caller.actor}/{idempotency_key or ports.new_id()}")
    granted = await _granted(ports, plan_id, wish) if idempotency_key else None
    run: str | None = None
    position = 0
    if granted is not None:
        version = granted
    else:
        if at_version not in (None, version):
            raise StreamMovedOn(plan_id, at_version, version)
        position = (await _say(ports, caller, plan, asked or ReplanRequest(), wish)).position
        run = plan.replanning.planning_run if plan.replanning else None
    steps = await _answered(ports, plan_id, after=version, is_begun=run is not None, wait=wait)
    position = max([position, *(step.position for step in steps)]) or await ports.head()
    response.headers[POSITION] = str(position)
    return _answer(plan, run, steps)


async def _granted(ports: Deps, plan_id: str, wish: str) -> int | None:
    """Return the plan's version before a wish was granted; None where it never was."""
    for recorded in await ports.streams.read(plan_id):
        if isinstance(recorded.event, PlanReplanning) and recorded.correlation_id == wish:
            return recorded.version - 1
    return None


async def _say(ports: Deps, caller: Caller, plan: Plan, asked: ReplanRequest, wish: str) -> Outcome:
    """Ask the run that carries the plan out; where there is none, the plan.

    Raises:
        PlanNotReady: Nothing of the plan can be planned anew.
    """

    async def say(body: RunReplanRequested | PlanReplanRequested) -> Outcome:
        return await ports.say(body, actor=caller.actor, report_id=wish)

    def of_run(run_id: str) -> RunReplanRequested:
        return RunReplanRequested(
            run_id=run_id,
            reason=asked.reason,
            agent_type=asked.agent_type,
            task_id=asked.failed_task_id,
            max_delay=asked.max_delay,
        )

    if plan.runs and plan.status in ("running", "failed"):
        return await say(of_run(plan.runs[-1]))
    if plan.status != "ready":
        raise PlanNotReady(plan.id, plan.status, "planned anew")
    try:
        # It may have begun already without its plan having heard of it.
        return await say(of_run(execution_of(plan.id, len(plan.runs) + 1)))
    except UnknownRun:
        return await say(
            PlanReplanRequested(
                plan_id=plan.id, reason=asked.reason, max_delay=asked.max_delay, author=caller.actor
            )
        )


async def _answered(
    ports: Deps, plan_id: str, *, after: int, is_begun: bool, wait: float
) -> Sequence[RevisionRow]:
    """Return what has followed after a version, once it is an answer or the time is over."""
    now = asyncio.get_running_loop().time
    began = now()
    while True:
        events = await ports.streams.read(plan_id, after=after)
        steps = [step for step in map(step_of, events) if step is not None]
        is_begun = is_begun or bool(steps)
        patience = wait if is_begun else max(wait, _BEGINS)
        if any(step.kind in ("updated", "refused") for step in steps) or now() >= began + patience:
            return steps
        await asyncio.sleep(_PAUSE)


def _answer(plan: Plan, run: str | None, steps: Sequence[RevisionRow]) -> ReplanAnswer:
    run = run or next((step.planning_run for step in steps if step.kind == "asked"), None)
    for step in steps:
        if step.kind in ("updated", "refused"):
            is_updated = step.kind == "updated"
            return ReplanAnswer(
                plan_id=plan.id,
                replan_id=run,
                status="updated" if is_updated else "refused",
                reason=step.reason or None,
                revision=step.revision,
                changes=changes_of(step) if is_updated else None,
                estimated_impact=impact_of(step),
            )
    return ReplanAnswer(plan_id=plan.id, replan_id=run, status="replanning", revision=plan.revision)
