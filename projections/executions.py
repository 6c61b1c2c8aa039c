"""Runs of every kind: how far each one is. Counts move with every event; nothing is recounted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from domain.policies import Event
from domain.recorded import Recorded
from domain.run import RunStatus
from domain.run_events import (
    ReportIgnored,
    RunCancelled,
    RunCompleted,
    RunExtended,
    RunFailed,
    RunKind,
    RunStarted,
    TaskCompleted,
    TaskDispatched,
    TaskFailed,
    TaskLost,
    TaskSkipped,
    TaskStarted,
)
from domain.values import JsonObject, Priority
from projections.changed import changed
from projections.table import Connection
from projections.view import Key, View


@dataclass(frozen=True, kw_only=True)
class ExecutionRow:
    """One run."""

    run_id: str
    plan_id: str | None
    kind: RunKind
    revision: int
    priority: Priority
    status: RunStatus = "running"
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    total: int
    """How many tasks it has; the next seven add up to it."""

    pending: int
    dispatched: int = 0
    started: int = 0
    completed: int = 0
    failed: int = 0
    skipped: int = 0
    cancelled: int = 0
    retries: int = 0
    """How many attempts were not the first of their task."""

    losses: int = 0
    ignored: int = 0
    """How many reports came too late, or from the wrong agent."""

    work_seconds: float
    """What its tasks are estimated to take, one after the other."""

    lost_task: str | None = None
    """A task that was lost and not dispatched again yet: for the moment it is pending."""

    failed_task: str | None = None
    """The task that failed last: if it is dispatched next, it has not failed after all."""

    result: JsonObject | None = None
    reason: str | None = None
    position: int
    """The last event that touched it."""


def keys(recorded: Recorded[Event]) -> Sequence[Key]:
    """Return the run an event speaks of."""
    return ((recorded.stream,),)


def fold(
    rows: Mapping[Key, ExecutionRow], recorded: Recorded[Event]
) -> Iterable[tuple[Key, ExecutionRow | None]]:
    """Return the run's row after one more event."""
    key: Key = (recorded.stream,)
    event = recorded.event
    if isinstance(event, RunStarted):
        yield key, _begun(event, recorded)
        return
    row, at, position = rows[key], recorded.at, recorded.position
    match event:
        case TaskDispatched():
            yield key, _dispatched(row, event, at, position)
        case TaskStarted():
            yield (
                key,
                changed(
                    row,
                    dispatched=row.dispatched - 1,
                    started=row.started + 1,
                    updated_at=at,
                    position=position,
                ),
            )
        case TaskCompleted():
            yield (
                key,
                changed(
                    row,
                    started=row.started - 1,
                    completed=row.completed + 1,
                    updated_at=at,
                    position=position,
                ),
            )
        case _:
            moved = changed(row, updated_at=at, position=position)
            yield key, _rarer(moved, event, at)


def _begun(event: RunStarted, recorded: Recorded[Event]) -> ExecutionRow:
    return ExecutionRow(
        run_id=event.run_id,
        plan_id=event.plan_id,
        kind=event.kind,
        revision=event.revision,
        priority=event.priority,
        started_at=recorded.at,
        updated_at=recorded.at,
        total=len(event.tasks),
        pending=len(event.tasks),
        work_seconds=sum(task.duration.total_seconds() for task in event.tasks),
        position=recorded.position,
    )


def _dispatched(
    row: ExecutionRow, event: TaskDispatched, at: datetime, position: int
) -> ExecutionRow:
    has_failed = row.failed_task == event.task_id
    return changed(
        row,
        dispatched=row.dispatched + 1,
        failed=row.failed - 1 if has_failed else row.failed,
        pending=row.pending if has_failed else row.pending - 1,
        retries=row.retries + (event.epoch > 1),
        failed_task=None if has_failed else row.failed_task,
        lost_task=None if row.lost_task == event.task_id else row.lost_task,
        updated_at=at,
        position=position,
    )


def _rarer(row: ExecutionRow, event: Event, at: datetime) -> ExecutionRow:
    match event:
        case RunExtended(tasks=tasks):
            work = sum(task.duration.total_seconds() for task in tasks)
            return changed(
                row,
                total=row.total + len(tasks),
                pending=row.pending + len(tasks),
                work_seconds=row.work_seconds + work,
            )
        case TaskFailed(task_id=task_id):
            was_lost = row.lost_task == task_id
            return changed(
                row,
                failed=row.failed + 1,
                started=row.started if was_lost else row.started - 1,
                pending=row.pending - 1 if was_lost else row.pending,
                lost_task=None if was_lost else row.lost_task,
                failed_task=task_id,
            )
        case TaskLost(task_id=task_id):
            return changed(
                row,
                started=row.started - 1,
                pending=row.pending + 1,
                losses=row.losses + 1,
                lost_task=task_id,
            )
        case TaskSkipped():
            return changed(row, pending=row.pending - 1, skipped=row.skipped + 1)
        case ReportIgnored():
            return changed(row, ignored=row.ignored + 1)
        case RunCompleted(result=result):
            return changed(row, status="completed", ended_at=at, result=result)
        case RunFailed(reason=reason):
            return changed(row, status="failed", ended_at=at, reason=reason)
        case RunCancelled(reason=reason):
            # Each cancelled task has an event of its own; the sum is known here, at once.
            return changed(
                row,
                status="cancelled",
                ended_at=at,
                reason=reason,
                pending=0,
                dispatched=0,
                started=0,
                cancelled=row.total - row.completed - row.failed - row.skipped,
            )
        case _:
            return row


EXECUTIONS = View(
    name="executions",
    version=1,
    row=ExecutionRow,
    key=("run_id",),
    columns="""
        run_id text collate "C", plan_id text, kind text not null, revision int not null,
        priority text not null, status text not null, started_at timestamptz not null,
        updated_at timestamptz not null, ended_at timestamptz, total int not null,
        pending int not null, dispatched int not null, started int not null,
        completed int not null, failed int not null, skipped int not null,
        cancelled int not null, retries int not null, losses int not null, ignored int not null,
        work_seconds double precision not null, lost_task text, failed_task text, result jsonb,
        reason text, position bigint not null
    """,
    indexes=("(started_at, run_id)", "(plan_id, started_at)"),
    hears=frozenset(
        {
            RunStarted,
            RunExtended,
            TaskDispatched,
            TaskStarted,
            TaskCompleted,
            TaskFailed,
            TaskLost,
            TaskSkipped,
            ReportIgnored,
            RunCompleted,
            RunFailed,
            RunCancelled,
        }
    ),
    keys=keys,
    fold=fold,
)


async def read_execution(connection: Connection, run_id: str) -> ExecutionRow | None:
    """Return one run, or None where there is none."""
    async with connection.cursor(row_factory=class_row(ExecutionRow)) as cursor:
        await cursor.execute("select * from views.executions_1 where run_id = %s", [run_id])
        return await cursor.fetchone()


async def list_executions(
    connection: Connection,
    *,
    plan_id: str | None = None,
    status: str | None = None,
    kind: str | None = None,
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> Sequence[ExecutionRow]:
    """Return runs without their results, which may be large, the newest first.

    ``before`` continues after the last one of a page.
    """
    moment, run_id = before or (None, None)
    async with connection.cursor(row_factory=class_row(ExecutionRow)) as cursor:
        await cursor.execute(
            "select run_id, plan_id, kind, revision, priority, status, started_at, updated_at,"
            " ended_at, total, pending, dispatched, started, completed, failed, skipped, cancelled,"
            " retries, losses, ignored, work_seconds, reason, position"
            " from views.executions_1 where (%(plan_id)s::text is null or plan_id = %(plan_id)s)"
            " and (%(status)s::text is null or status = %(status)s)"
            " and (%(kind)s::text is null or kind = %(kind)s)"
            " and (%(moment)s::timestamptz is null"
            "      or (started_at, run_id) < (%(moment)s, %(run_id)s::text))"
            " order by started_at desc, run_id desc limit %(limit)s",
            {
                "plan_id": plan_id,
                "status": status,
                "kind": kind,
                "moment": moment,
                "run_id": run_id,
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def count_active(connection: Connection) -> int:
    """Return how many runs are running."""
    cursor = await connection.execute(
        "select count(*) from views.executions_1 where status = 'running' and kind = 'execution'"
    )
    (number,) = await cursor.fetchone() or (0,)
    return int(number)
