"""Runs of every kind: how far each one is. Counts move with every event; nothing is recounted."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from psycopg import sql
from psycopg.rows import class_row

from domain.changed import changed
from domain.policies import Event
from domain.recorded import Recorded
from domain.run import NOBODY
from domain.run_events import (
    ReportIgnored,
    RunCancelled,
    RunCompleted,
    RunExtended,
    RunFailed,
    RunRevised,
    RunStarted,
    TaskCompleted,
    TaskDispatched,
    TaskFailed,
    TaskLost,
    TaskSkipped,
    TaskStarted,
)
from domain.steering import (
    RunCheckpointed,
    RunPaused,
    RunResumed,
    RunRolledBack,
    SteeringEvent,
    TaskReopened,
)
from domain.values import JsonObject, Priority, RunKind, RunStatus
from projections.table import Connection
from projections.view import Key, View

MOST_CHECKPOINTS = 20
"""Of a run, the latest ones are shown."""


@dataclass(frozen=True, kw_only=True)
class ExecutionRow:
    """One run."""

    run_id: str
    plan_id: str | None
    kind: RunKind
    revision: int
    priority: Priority
    options: JsonObject
    """How it is carried out: a ``RunOptions``."""

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

    paused_at: datetime | None = None
    checkpoints: Sequence[Mapping[str, Any]] = ()
    """What it can be rolled back to: id, when it was, and how many tasks were completed."""

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
        case RunRevised():
            yield key, _revised(changed(row, updated_at=at, position=position), event)
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
        options=event.options.model_dump(mode="json"),
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
    return changed(
        row,
        dispatched=row.dispatched + 1,
        pending=row.pending - 1,
        retries=row.retries + (event.epoch > 1),
        lost_task=None if row.lost_task == event.task_id else row.lost_task,
        updated_at=at,
        position=position,
    )


def _rarer(row: ExecutionRow, event: Event, at: datetime) -> ExecutionRow:
    match event:
        case RunExtended():
            return _extended(row, event)
        case TaskFailed():
            return _failed(row, event)
        case TaskLost(task_id=task_id):
            return changed(
                row,
                started=row.started - 1,
                pending=row.pending + 1,
                losses=row.losses + 1,
                lost_task=task_id,
            )
        case TaskSkipped(was=status):
            was = "pending" if status == "lost" else status
            skipped = changed(row, **{was: getattr(row, was) - 1})
            return changed(skipped, skipped=skipped.skipped + 1)
        case TaskReopened(tasks=tasks, failed=failed, cancelled=cancelled):
            return changed(
                row,
                pending=row.pending + len(tasks),
                failed=row.failed - failed,
                cancelled=row.cancelled - cancelled,
                skipped=row.skipped - len(tasks) + failed + cancelled,
            )
        case ReportIgnored():
            return changed(row, ignored=row.ignored + 1)
        case RunCompleted(result=result):
            return changed(row, status="completed", ended_at=at, result=result)
        case RunFailed(reason=reason):
            return _stopped(changed(row, status="failed", ended_at=at, reason=reason))
        case RunCancelled(reason=reason):
            return _stopped(changed(row, status="cancelled", ended_at=at, reason=reason))
        case RunCheckpointed(checkpoint=checkpoint, completed=completed):
            marked = {"id": checkpoint, "at": event.at.isoformat(), "completed": completed}
            return changed(row, checkpoints=[*row.checkpoints, marked][-MOST_CHECKPOINTS:])
        case RunPaused(reason=reason):
            return changed(row, status="paused", paused_at=at, reason=reason or None)
        case RunResumed():
            return changed(row, status="running", paused_at=None, ended_at=None, reason=None)
        case RunRolledBack():
            return _rolled_back(row, event, at)
        case _:
            return row


def _extended(row: ExecutionRow, event: RunExtended) -> ExecutionRow:
    work = sum(task.duration.total_seconds() for task in event.tasks)
    return changed(
        row,
        total=row.total + len(event.tasks),
        pending=row.pending + len(event.tasks),
        work_seconds=row.work_seconds + work,
    )


def _revised(row: ExecutionRow, event: RunRevised) -> ExecutionRow:
    left = Counter("pending" if was == "lost" else was for was in event.was.values())
    moved = changed(row, **{status: getattr(row, status) - left[status] for status in left})
    return changed(
        moved,
        revision=event.revision,
        total=row.total + len(event.added) - len(event.removed),
        pending=moved.pending + len(event.added) + len(event.modified) + len(event.reopened),
        lost_task=None if row.lost_task in event.was else row.lost_task,
    )


def _failed(row: ExecutionRow, event: TaskFailed) -> ExecutionRow:
    was_lost = row.lost_task == event.task_id
    was = "pending" if was_lost else "dispatched" if event.agent_id == NOBODY else "started"
    left = changed(
        row, **{was: getattr(row, was) - 1}, lost_task=None if was_lost else row.lost_task
    )
    if event.retry_in is None:
        return changed(left, failed=left.failed + 1)
    return changed(left, pending=left.pending + 1)


def _stopped(row: ExecutionRow) -> ExecutionRow:
    """Count what was cancelled: each such task has an event of its own; the sum is known here."""
    return changed(
        row,
        pending=0,
        dispatched=0,
        started=0,
        cancelled=row.total - row.completed - row.failed - row.skipped,
    )


def _rolled_back(row: ExecutionRow, event: RunRolledBack, at: datetime) -> ExecutionRow:
    names = [checkpoint["id"] for checkpoint in row.checkpoints]
    end = names.index(event.checkpoint) + 1 if event.checkpoint in names else 0
    return changed(
        row,
        status="paused",
        paused_at=at,
        ended_at=None,
        reason=event.reason or None,
        result=None,
        checkpoints=row.checkpoints[:end],
        pending=row.total - event.completed - event.skipped,
        dispatched=0,
        started=0,
        failed=0,
        cancelled=0,
        completed=event.completed,
        skipped=event.skipped,
        lost_task=None,
    )


EXECUTIONS = View(
    name="executions",
    version=2,
    row=ExecutionRow,
    key=("run_id",),
    columns="""
        run_id text collate "C", plan_id text, kind text not null, revision int not null,
        priority text not null, options jsonb not null, status text not null,
        started_at timestamptz not null,
        updated_at timestamptz not null, ended_at timestamptz, total int not null,
        pending int not null, dispatched int not null, started int not null,
        completed int not null, failed int not null, skipped int not null,
        cancelled int not null, retries int not null, losses int not null, ignored int not null,
        work_seconds double precision not null, lost_task text, paused_at timestamptz,
        checkpoints jsonb not null, result jsonb, reason text, position bigint not null
    """,
    indexes=("(started_at, run_id)", "(plan_id, started_at)"),
    hears=frozenset(
        {
            RunStarted,
            RunExtended,
            RunRevised,
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
            *get_args(SteeringEvent),
        }
    ),
    keys=keys,
    fold=fold,
)


async def read_execution(connection: Connection, run_id: str) -> ExecutionRow | None:
    """Return one run, or None where there is none."""
    async with connection.cursor(row_factory=class_row(ExecutionRow)) as cursor:
        await cursor.execute("select * from views.executions_2 where run_id = %s", [run_id])
        return await cursor.fetchone()


Sort = Literal["-started_at", "started_at", "-updated_at", "updated_at"]
"""What runs are ordered by; a minus puts the latest first."""


async def list_executions(
    connection: Connection,
    *,
    plan_id: str | None = None,
    status: Sequence[str] = (),
    kind: str | None = None,
    owner: str | None = None,
    sort: Sort = "-started_at",
    after: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> Sequence[ExecutionRow]:
    """Return runs without their results, which may be large, in an order.

    ``after`` goes on after a place, as ``place_of`` says it.
    """
    moment, run_id = after or (None, None)
    query = sql.SQL(
        "select run_id, plan_id, kind, revision, priority, options, status, started_at,"
        " updated_at, ended_at, total, pending, dispatched, started, completed, failed,"
        " skipped, cancelled, retries, losses, ignored, work_seconds, paused_at, checkpoints,"
        " reason, position"
        " from views.executions_2 where (%(plan_id)s::text is null or plan_id = %(plan_id)s)"
        " and (cardinality(%(status)s::text[]) = 0 or status = any(%(status)s))"
        " and (%(kind)s::text is null or kind = %(kind)s)"
        " and (%(owner)s::text is null or plan_id in"
        "      (select plan_id from views.plans_3 where actor = %(owner)s))"
        " and (%(moment)s::timestamptz is null"
        "      or ({column}, run_id) {beyond} (%(moment)s, %(run_id)s::text))"
        " order by {column} {way}, run_id {way} limit %(limit)s"
    ).format(
        column=sql.Identifier(sort.removeprefix("-")),
        beyond=sql.SQL("<" if sort.startswith("-") else ">"),
        way=sql.SQL("desc" if sort.startswith("-") else "asc"),
    )
    async with connection.cursor(row_factory=class_row(ExecutionRow)) as cursor:
        await cursor.execute(
            query,
            {
                "plan_id": plan_id,
                "status": list(status),
                "kind": kind,
                "owner": owner,
                "moment": moment,
                "run_id": run_id,
                "limit": limit,
            },
        )
        return await cursor.fetchall()


def place_of(row: ExecutionRow, sort: Sort) -> tuple[datetime, str]:
    """Return where a run stands in an order."""
    return row.updated_at if sort.endswith("updated_at") else row.started_at, row.run_id


async def count_active(connection: Connection) -> int:
    """Return how many runs are running."""
    cursor = await connection.execute(
        "select count(*) from views.executions_2"
        " where status in ('running', 'paused') and kind = 'execution'"
    )
    (number,) = await cursor.fetchone() or (0,)
    return int(number)
