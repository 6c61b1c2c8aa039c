"""Tasks of runs: where each one stands."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from psycopg.rows import class_row

from domain.changed import changed
from domain.graph import LIMITS
from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import (
    MANY_TASKS_EVENTS,
    TASK_EVENTS,
    RunExtended,
    RunRevised,
    RunStarted,
    TaskCancelled,
    TaskCompleted,
    TaskDispatched,
    TaskFailed,
    TaskLost,
    TaskSkipped,
    TaskStarted,
)
from domain.steering import RunRolledBack, TaskReopened
from domain.tasks import Task
from domain.values import ErrorClass, JsonObject, Role, RunKind, TaskStatus
from projections.table import Connection
from projections.view import Key, View


@dataclass(frozen=True, kw_only=True)
class TaskRow:
    """One task of one run."""

    run_id: str
    task_id: str
    number: int
    """It grows through the graph as it was written, and as it was extended."""

    plan_id: str | None
    kind: RunKind
    name: str
    agent_type: str
    role: Role
    action: str
    needs: Sequence[str]
    """The tasks that have to end well before it."""

    inputs: dict[str, str]
    duration_seconds: float
    cost: float
    deliverable: bool
    most_attempts: int
    """How many attempts may fail before it fails itself."""

    status: TaskStatus = "pending"
    is_waived: bool = False
    """Whether a person said that it need not be done."""

    instead: str | None = None
    """The agent type that carries it out, where it is not its own."""

    epoch: int = 0
    """The current attempt; 0 before the first."""

    failures: int = 0
    losses: int = 0
    agent_id: str | None = None
    """Who holds the attempt, or held it last."""

    dispatched_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    result: JsonObject | None = None
    error_class: ErrorClass | None = None
    reason: str | None = None
    """Why it failed, was lost or was skipped, the last time it did."""

    position: int
    """The last event that touched it."""


def keys(recorded: Recorded[Event]) -> Sequence[Key]:
    """Return the tasks an event touches."""
    event = recorded.event
    match event:
        case RunRolledBack(run_id=run_id, tasks=names) | TaskReopened(run_id=run_id, tasks=names):
            return [(run_id, name) for name in names]
        case RunRevised():
            added = [(event.run_id, task.id) for task in event.added]
            return [*added, *((event.run_id, name) for name in sorted(event.was))]
        case RunStarted(run_id=run_id, tasks=tasks) | RunExtended(run_id=run_id, tasks=tasks):
            # The task whose result made the graph grow tells of which plan and kind the run is.
            because = [(run_id, event.because)] if isinstance(event, RunExtended) else []
            return [*because, *((run_id, task.id) for task in tasks)]
        case _:
            return ((recorded.stream, getattr(event, "task_id")),)  # noqa: B009 # of all that are heard


def fold(
    rows: Mapping[Key, TaskRow], recorded: Recorded[Event]
) -> Iterable[tuple[Key, TaskRow | None]]:
    """Return the rows of the tasks an event touches."""
    event = recorded.event
    match event:
        case RunStarted(run_id=run_id, plan_id=plan_id, kind=kind, tasks=tasks):
            pass
        case RunRolledBack() | TaskReopened():
            for name in keys(recorded):
                yield name, _reopened(rows[name], recorded.position)
            return
        case RunRevised():
            yield from _revised(rows, event, recorded)
            return
        case RunExtended(run_id=run_id, tasks=tasks, because=because):
            plan_id, kind = rows[run_id, because].plan_id, rows[run_id, because].kind
        case _:
            key: Key = (recorded.stream, getattr(event, "task_id"))  # noqa: B009 # as in keys
            yield key, _after(rows[key], event, recorded)
            return
    for number, task in enumerate(tasks, start=recorded.version * LIMITS.tasks):
        yield (run_id, task.id), _begun(run_id, plan_id, kind, task, number, recorded.position)


def _revised(
    rows: Mapping[Key, TaskRow], event: RunRevised, recorded: Recorded[Event]
) -> Iterable[tuple[Key, TaskRow | None]]:
    """Return the rows of the tasks that another graph has, has otherwise, or has no more."""
    run_id, position = event.run_id, recorded.position
    for name in event.removed:
        yield (run_id, name), None
    for name in event.reopened:
        yield (run_id, name), _reopened(rows[run_id, name], position)
    for task in event.modified:
        was = _reopened(rows[run_id, task.id], position)
        yield (
            (run_id, task.id),
            changed(
                was,
                name=task.name,
                agent_type=task.agent,
                role=task.role,
                action=task.action,
                needs=task.needs,
                inputs=task.inputs,
                duration_seconds=task.duration.total_seconds(),
                cost=task.cost,
                deliverable=task.deliverable,
                most_attempts=task.retry.attempts,
            ),
        )
    for number, task in enumerate(event.added, start=recorded.version * LIMITS.tasks):
        row = _begun(run_id, event.plan_id, "execution", task, number, position)
        yield (run_id, task.id), row


def _begun(
    run_id: str, plan_id: str | None, kind: RunKind, task: Task, number: int, position: int
) -> TaskRow:
    return TaskRow(
        run_id=run_id,
        task_id=task.id,
        number=number,
        plan_id=plan_id,
        kind=kind,
        name=task.name,
        agent_type=task.agent,
        role=task.role,
        action=task.action,
        needs=task.needs,
        inputs=task.inputs,
        duration_seconds=task.duration.total_seconds(),
        cost=task.cost,
        deliverable=task.deliverable,
        most_attempts=task.retry.attempts,
        position=position,
    )


def _after(row: TaskRow, event: Event, recorded: Recorded[Event]) -> TaskRow:
    at, position = recorded.at, recorded.position
    match event:
        case TaskDispatched(epoch=epoch):
            return changed(
                row,
                status="dispatched",
                epoch=epoch,
                agent_id=None,
                dispatched_at=at,
                started_at=None,
                ended_at=None,
                position=position,
            )
        case TaskStarted(agent_id=agent_id):
            return changed(
                row, status="started", agent_id=agent_id, started_at=at, position=position
            )
        case TaskCompleted(agent_id=agent_id, result=result):
            return changed(
                row,
                status="completed",
                agent_id=agent_id,
                ended_at=at,
                result=result,
                position=position,
            )
        case TaskFailed(error_class=error_class, reason=reason, retry_in=retry_in):
            return changed(
                row,
                status="failed" if retry_in is None else "pending",
                instead=event.next_agent or row.instead,
                failures=row.failures + 1,
                ended_at=at,
                error_class=error_class,
                reason=reason,
                position=position,
            )
        case TaskLost(reason=reason):
            return changed(
                row,
                status="lost",
                losses=row.losses + 1,
                ended_at=at,
                reason=reason,
                position=position,
            )
        case TaskSkipped(because=because, reason=said):
            reason = said or "on request" if because is None else f"{because} did not end well"
            return changed(
                row,
                status="skipped",
                is_waived=event.is_waived,
                ended_at=at,
                reason=reason,
                position=position,
            )
        case TaskCancelled():
            return changed(row, status="cancelled", ended_at=at, position=position)
        case _:
            return row


def _reopened(row: TaskRow, position: int) -> TaskRow:
    return changed(
        row,
        status="pending",
        is_waived=False,
        instead=None,
        failures=0,
        losses=0,
        agent_id=None,
        dispatched_at=None,
        started_at=None,
        ended_at=None,
        result=None,
        error_class=None,
        reason=None,
        position=position,
    )


TASKS = View(
    name="tasks",
    version=2,
    row=TaskRow,
    key=("run_id", "task_id"),
    columns="""
        run_id text collate "C", task_id text collate "C", number bigint not null, plan_id text,
        kind text not null, name text not null, agent_type text not null, role text not null,
        action text not null, needs text[] not null, inputs jsonb not null,
        duration_seconds double precision not null, cost double precision not null,
        deliverable boolean not null, most_attempts int not null, status text not null,
        is_waived boolean not null, instead text, epoch int not null,
        failures int not null, losses int not null, agent_id text, dispatched_at timestamptz,
        started_at timestamptz, ended_at timestamptz, result jsonb, error_class text, reason text,
        position bigint not null
    """,
    indexes=("(run_id) where status = 'started'",),
    hears=TASK_EVENTS | MANY_TASKS_EVENTS | {RunStarted, RunExtended, RunRevised},
    keys=keys,
    fold=fold,
)


async def read_tasks(connection: Connection, run_id: str) -> Sequence[TaskRow]:
    """Return the tasks of a run, in the order of its graph."""
    async with connection.cursor(row_factory=class_row(TaskRow)) as cursor:
        await cursor.execute(
            "select * from views.tasks_2 where run_id = %s order by number, task_id", [run_id]
        )
        return await cursor.fetchall()


async def read_page(
    connection: Connection, run_id: str, *, status: TaskStatus | None, limit: int, offset: int
) -> Sequence[TaskRow]:
    """Return some tasks of a run, in the order of its graph."""
    async with connection.cursor(row_factory=class_row(TaskRow)) as cursor:
        await cursor.execute(
            "select * from views.tasks_2 where run_id = %s and (%s::text is null or status = %s)"
            " order by number, task_id limit %s offset %s",
            [run_id, status, status, limit, offset],
        )
        return await cursor.fetchall()


async def read_task(connection: Connection, run_id: str, task_id: str) -> TaskRow | None:
    """Return one task of a run, or None where there is none."""
    async with connection.cursor(row_factory=class_row(TaskRow)) as cursor:
        await cursor.execute(
            "select * from views.tasks_2 where run_id = %s and task_id = %s", [run_id, task_id]
        )
        return await cursor.fetchone()


async def read_changed(
    connection: Connection, run_id: str, *, after: int, limit: int
) -> Sequence[TaskRow]:
    """Return tasks that an event after a position has touched, by the last such event.

    Those that have never been dispatched are left out. There may be more than ``limit`` where one
    event has touched many.
    """
    async with connection.cursor(row_factory=class_row(TaskRow)) as cursor:
        await cursor.execute(
            "select * from views.tasks_2 where run_id = %s and position > %s"
            " and (status <> 'pending' or epoch > 0)"
            " order by position fetch first %s rows with ties",
            [run_id, after, limit],
        )
        return await cursor.fetchall()


async def statuses_of(connection: Connection, run_id: str) -> Mapping[str, TaskStatus]:
    """Return where each task of a run stands."""
    # As one value: thousands of rows take longer to be taken apart than to be found.
    cursor = await connection.execute(
        "select coalesce(json_object_agg(task_id, status), '{}') from views.tasks_2"
        " where run_id = %s",
        [run_id],
    )
    (statuses,) = await cursor.fetchone() or ({},)
    return cast("Mapping[str, TaskStatus]", statuses)


async def read_started(connection: Connection, run_id: str, *, limit: int) -> Sequence[TaskRow]:
    """Return tasks of a run that agents have in hand, the longest first."""
    async with connection.cursor(row_factory=class_row(TaskRow)) as cursor:
        await cursor.execute(
            "select * from views.tasks_2 where run_id = %s and status = 'started'"
            " order by started_at, task_id limit %s",
            [run_id, limit],
        )
        return await cursor.fetchall()
