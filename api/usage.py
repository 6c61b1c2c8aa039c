"""What language models have cost a plan."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from api.access import may
from api.durations import Moment
from api.plans import require_plan
from api.reading import Reading
from domain.goals import Options
from domain.usage import Budget
from domain.values import PlanId
from projections.plans import PLANS
from projections.usage import USAGE, UsageRow, usage_of

router = APIRouter(prefix="/plans", tags=["plans"])


class Amount(BaseModel):
    """How many calls there were, and what they cost."""

    calls: int
    """Calls that reached a provider, the malformed and the failed ones included."""

    malformed: int
    failed: int
    cached: int
    """Answers that needed no call."""

    input_tokens: int
    output_tokens: int
    cost: float
    """In US dollars, of the calls whose price is known."""

    unpriced: int
    """Calls whose price nobody knows; their cost is not in it."""

    doubt_tokens: int
    """What it may have been besides at most, where nobody heard the end of a call."""

    doubt_cost: float


class AttemptUsage(Amount):
    """What one attempt at a task has asked of one model."""

    execution_id: str
    task_id: str
    attempt: int
    agent_id: str
    provider: str
    model: str
    seconds: float
    prompt: str
    """The prompt and its version."""

    reason: str | None
    """Why the last call that went wrong did."""

    ended_at: Moment


class TaskUsage(Amount):
    """What one task has cost, all its attempts together."""

    execution_id: str
    task_id: str


class UsageAnswer(BaseModel):
    """What language models have cost a plan."""

    plan_id: str
    budget: Budget | None
    """What its planning may cost, if anybody said so."""

    total: Amount
    tasks: Sequence[TaskUsage]
    attempts: Sequence[AttemptUsage]


@router.get("/{plan_id}/usage", dependencies=[may("plan:read")])
async def show_usage(plan_id: Annotated[PlanId, Path()], views: Reading) -> UsageAnswer:
    """Show what language models have cost a plan: in all, by task, and by attempt and model."""
    async with views.snapshot(PLANS, USAGE) as read:
        plan = await require_plan(read, plan_id)
        runs = [*([plan.planning_run_id] if plan.planning_run_id else []), *plan.runs]
        rows = await usage_of(read.connection, runs)
    by_task: dict[tuple[str, str], list[UsageRow]] = {}
    for row in rows:
        by_task.setdefault((row.run_id, row.task_id), []).append(row)
    return UsageAnswer(
        plan_id=plan_id,
        budget=Options.model_validate(plan.options).model_budget,
        total=Amount.model_validate(_sum(rows)),
        tasks=[
            TaskUsage.model_validate(_sum(some) | {"execution_id": run_id, "task_id": task_id})
            for (run_id, task_id), some in by_task.items()
        ],
        attempts=[
            AttemptUsage.model_validate(
                _sum([row])
                | {
                    "execution_id": row.run_id,
                    "task_id": row.task_id,
                    "attempt": row.epoch,
                    "agent_id": row.agent_id,
                    "provider": row.provider,
                    "model": row.model,
                    "seconds": row.seconds,
                    "prompt": row.prompt,
                    "reason": row.reason or None,
                    "ended_at": row.at,
                }
            )
            for row in rows
        ],
    )


def _sum(rows: Sequence[UsageRow]) -> dict[str, object]:
    return {name: sum(getattr(row, name) for row in rows) for name in Amount.model_fields}
