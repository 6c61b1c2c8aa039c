"""What happened in a run, line by line: one row an event."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import RunEvent
from domain.values import JsonObject
from projections.describe import LEVELS, Level, describe, level_of
from projections.table import Connection
from projections.view import Key, View

_ELSEWHERE = {"type", "run_id", "task_id", "agent_id", "tasks", "params", "inputs", "result"}
"""Fields that have columns of their own, or that other views show."""


@dataclass(frozen=True, kw_only=True)
class TimelineRow:
    """One event of a run."""

    position: int
    run_id: str
    at: datetime
    level: Level
    severity: int
    """The level's place among the levels, to compare by."""

    type: str
    task_id: str | None
    agent_id: str | None
    message: str
    metadata: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a run's log, with the type of agent that it speaks of."""

    row: TimelineRow
    agent_type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A page of a run's log, and how many lines there are in all."""

    lines: Sequence[Line]
    total: int


def keys(recorded: Recorded[Event]) -> Sequence[Key]:
    """Return the line an event becomes."""
    return ((recorded.position,),)


def fold(
    rows: Mapping[Key, TimelineRow], recorded: Recorded[Event]
) -> Iterable[tuple[Key, TimelineRow | None]]:
    """Return the line an event becomes."""
    del rows
    event = recorded.event
    level = level_of(event)
    row = TimelineRow(
        position=recorded.position,
        run_id=recorded.stream,
        at=recorded.at,
        level=level,
        severity=LEVELS.index(level),
        type=event.type,
        task_id=getattr(event, "task_id", None),
        agent_id=getattr(event, "agent_id", None),
        message=describe(event),
        metadata=event.model_dump(mode="json", exclude=_ELSEWHERE),
    )
    yield (recorded.position,), row


TIMELINE = View(
    name="timeline",
    version=1,
    row=TimelineRow,
    key=("position",),
    columns="""
        position bigint, run_id text collate "C" not null, at timestamptz not null,
        level text not null, severity smallint not null, type text not null, task_id text,
        agent_id text, message text not null, metadata jsonb not null
    """,
    indexes=("(run_id, position)",),
    hears=frozenset(get_args(RunEvent)),
    keys=keys,
    fold=fold,
    is_a_log=True,
)


async def read_lines(
    connection: Connection,
    run_id: str,
    *,
    level: Level = "debug",
    agent: str | None = None,
    task: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> Lines:
    """Return lines of at least a level, the oldest first; ``agent`` is an agent's id or type."""
    where = (
        " from views.timeline_1 l left join views.tasks_2 t using (run_id, task_id)"
        " where l.run_id = %(run)s and l.severity >= %(severity)s"
        " and (%(task)s::text is null or l.task_id = %(task)s)"
        " and (%(agent)s::text is null or l.agent_id = %(agent)s or t.agent_type = %(agent)s)"
    )
    wanted = {
        "run": run_id,
        "severity": LEVELS.index(level),
        "agent": agent,
        "task": task,
        "limit": limit,
        "offset": offset,
    }
    counted = await connection.execute(f"select count(*){where}", wanted)
    (total,) = await counted.fetchone() or (0,)
    cursor = await connection.execute(
        "select l.position, l.run_id, l.at, l.level, l.severity, l.type, l.task_id, l.agent_id,"
        f" l.message, l.metadata, t.agent_type{where}"
        " order by l.position limit %(limit)s offset %(offset)s",
        wanted,
    )
    lines = [
        Line(
            row=TimelineRow(
                position=position,
                run_id=run,
                at=at,
                level=line_level,
                severity=severity,
                type=type_,
                task_id=task_id,
                agent_id=agent_id,
                message=message,
                metadata=metadata,
            ),
            agent_type=agent_type,
        )
        for (
            position,
            run,
            at,
            line_level,
            severity,
            type_,
            task_id,
            agent_id,
            message,
            metadata,
            agent_type,
        ) in await cursor.fetchall()
    ]
    return Lines(lines=lines, total=total)


async def runs_of_agent(connection: Connection, agent_id: str) -> Sequence[str]:
    """Return every run in whose timeline an agent is."""
    cursor = await connection.execute(
        "select distinct run_id from views.timeline_1 where agent_id = %s order by run_id",
        [agent_id],
    )
    return [run_id for (run_id,) in await cursor.fetchall()]
