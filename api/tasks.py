"""Tasks of an execution: where each stands, and what came of it."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.access import may
from api.reading import Reading
from api.task_answers import TaskAnswer, TasksAnswer, answer_of
from domain.errors import UnknownRun, UnknownTask
from domain.values import RunId, TaskId, TaskStatus
from projections.executions import EXECUTIONS, read_execution
from projections.tasks import TASKS, read_page, read_task

router = APIRouter(prefix="/executions/{execution_id}/tasks", tags=["executions"])

_RunPath = Annotated[RunId, Path()]
_TaskPath = Annotated[TaskId, Path()]


@router.get("", dependencies=[may("plan:read")])
async def show_tasks(
    execution_id: _RunPath,
    views: Reading,
    *,
    status: TaskStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> TasksAnswer:
    """Show the tasks of an execution with their results, in the order of the graph."""
    async with views.snapshot(EXECUTIONS, TASKS) as read:
        if await read_execution(read.connection, execution_id) is None:
            raise UnknownRun(execution_id)
        rows = await read_page(
            read.connection, execution_id, status=status, limit=limit, offset=offset
        )
    return TasksAnswer(
        execution_id=execution_id,
        tasks=[answer_of(row) for row in rows],
        limit=limit,
        offset=offset,
    )


@router.get("/{task_id}", dependencies=[may("plan:read")])
async def show_task(execution_id: _RunPath, task_id: _TaskPath, views: Reading) -> TaskAnswer:
    """Show one task of an execution, and its result."""
    async with views.snapshot(EXECUTIONS, TASKS) as read:
        if await read_execution(read.connection, execution_id) is None:
            raise UnknownRun(execution_id)
        row = await read_task(read.connection, execution_id, task_id)
    if row is None:
        raise UnknownTask(execution_id, task_id)
    return answer_of(row)
