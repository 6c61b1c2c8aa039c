"""Why a task of an execution is not done, and what would unblock it."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.access import may
from api.deps import Deps, Ports
from api.reading import Reading
from api.why_answers import RunWhy, TaskWhy, why_run, why_task
from bus.depths import work_depths
from domain.values import RunId, TaskId
from projections.explain import Seen, Surroundings, kinds_of
from projections.why import WHY, see_run, see_task

router = APIRouter(prefix="/executions/{execution_id}", tags=["executions"])

_RunPath = Annotated[RunId, Path()]
_TaskPath = Annotated[TaskId, Path()]


@router.get("/why", dependencies=[may("plan:read")])
async def show_why_run(execution_id: _RunPath, views: Reading, ports: Ports) -> RunWhy:
    """Show what an execution waits for: its tasks that wait for no other, the worst first."""
    async with views.snapshot(*WHY) as read:
        seen = await see_run(read.connection, execution_id)
    return why_run(seen, await _around(ports, seen))


@router.get("/tasks/{task_id}/why", dependencies=[may("plan:read")])
async def show_why_task(
    execution_id: _RunPath, task_id: _TaskPath, views: Reading, ports: Ports
) -> TaskWhy:
    """Show why a task is not done, down to the root cause, and which command would unblock it."""
    async with views.snapshot(*WHY) as read:
        seen = await see_task(read.connection, execution_id, task_id)
    return why_task(seen, task_id, await _around(ports, seen))


async def _around(ports: Deps, seen: Seen) -> Surroundings:
    return Surroundings(
        now=ports.clock.now(),
        lease=ports.lease,
        depths=await work_depths(ports.depths, kinds_of(seen)),
    )
