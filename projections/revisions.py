"""What became of a plan's graph: each revision, who asked for it and why, and what was refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.rows import class_row
from pydantic import TypeAdapter

from domain.plan import PlanReady
from domain.policies import Event
from domain.recorded import Recorded
from domain.revisions import PlanReplanning, PlanReplanRefused, PlanUpdated
from domain.tasks import Task
from domain.values import JsonObject
from projections.table import Connection
from projections.view import Key, View

Kind = Literal["planned", "asked", "updated", "refused"]

_TASKS = TypeAdapter(tuple[Task, ...])


@dataclass(frozen=True, kw_only=True)
class RevisionRow:
    """One step in the life of a plan's graph."""

    plan_id: str
    position: int
    revision: int
    """The revision that is meant: a new one where it was planned or updated."""

    kind: Kind
    at: datetime
    reason: str = ""
    author: str = ""
    planning_run: str | None = None
    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    modified: Sequence[str] = ()
    notes: Sequence[str] = ()
    delay: float | None = None
    """Seconds; what the best graph would have cost, where it was refused."""

    max_delay: float | None = None
    cost: float | None = None
    tasks: Sequence[JsonObject] | None = None
    """The graph, where there is a new one."""


def keys(recorded: Recorded[Event]) -> Sequence[Key]:
    """Return nothing: a step is written once."""
    del recorded
    return ()


def fold(
    rows: Mapping[Key, RevisionRow], recorded: Recorded[Event]
) -> Iterable[tuple[Key, RevisionRow | None]]:
    """Return the step that one more event tells of."""
    del rows
    row = step_of(recorded)
    if row is not None:
        yield (row.plan_id, row.position), row


def step_of(recorded: Recorded[Event]) -> RevisionRow | None:
    """Return the step that an event tells of, where it tells of one."""
    plan_id, position, at = recorded.stream, recorded.position, recorded.at
    match recorded.event:
        case PlanReady(revision=revision, tasks=tasks):
            return RevisionRow(
                plan_id=plan_id,
                position=position,
                revision=revision,
                kind="planned",
                at=at,
                author=recorded.actor,
                added=sorted(task.id for task in tasks),
                tasks=_TASKS.dump_python(tasks, mode="json"),
            )
        case PlanReplanning() as asked:
            return RevisionRow(
                plan_id=plan_id,
                position=position,
                revision=asked.revision,
                kind="asked",
                at=at,
                reason=asked.reason,
                author=recorded.actor,
                planning_run=asked.planning_run,
                max_delay=asked.max_delay,
            )
        case PlanUpdated() as updated:
            return RevisionRow(
                plan_id=plan_id,
                position=position,
                revision=updated.revision,
                kind="updated",
                at=at,
                reason=updated.reason,
                author=updated.author,
                added=updated.added,
                removed=updated.removed,
                modified=updated.modified,
                notes=updated.notes,
                delay=updated.delay,
                cost=updated.cost,
                tasks=_TASKS.dump_python(updated.tasks, mode="json"),
            )
        case PlanReplanRefused() as refused:
            return RevisionRow(
                plan_id=plan_id,
                position=position,
                revision=refused.revision,
                kind="refused",
                at=at,
                reason=refused.reason,
                delay=refused.delay,
                max_delay=refused.max_delay,
            )
        case _:
            return None


REVISIONS = View(
    name="revisions",
    version=1,
    row=RevisionRow,
    key=("plan_id", "position"),
    columns="""
        plan_id text collate "C", position bigint, revision int not null, kind text not null,
        at timestamptz not null, reason text not null, author text not null, planning_run text,
        added text[] not null, removed text[] not null, modified text[] not null,
        notes text[] not null, delay double precision, max_delay double precision,
        cost double precision, tasks jsonb
    """,
    hears=frozenset({PlanReady, PlanReplanning, PlanUpdated, PlanReplanRefused}),
    keys=keys,
    fold=fold,
    is_a_log=True,
)


async def read_revisions(
    connection: Connection, plan_id: str, *, after: int = 0
) -> Sequence[RevisionRow]:
    """Return the steps of a plan's graph after a position, the first of them first."""
    async with connection.cursor(row_factory=class_row(RevisionRow)) as cursor:
        await cursor.execute(
            "select * from views.revisions_1 where plan_id = %s and position > %s"
            " order by position",
            [plan_id, after],
        )
        return await cursor.fetchall()


def graph_at(rows: Sequence[RevisionRow], revision: int) -> Sequence[Task] | None:
    """Return the graph of a revision; None where there is no such one."""
    for row in rows:
        if row.revision == revision and row.tasks is not None:
            return _TASKS.validate_python(row.tasks)
    return None
