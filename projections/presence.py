"""What agents' heartbeats said last. It is no view: signals are not recorded, and not folded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from pydantic import TypeAdapter, ValidationError

from projections.table import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPresence:
    """One task an agent says it works on."""

    run_id: str
    task_id: str
    epoch: int
    progress: float | None = None
    """From 0 to 1, where the agent says it."""

    state: str = "running"
    """``waiting`` for a place at its agent, ``claiming`` an external effect, or ``running``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """The last heartbeat of one agent."""

    agent_id: str
    instance: str
    lifecycle: str
    load: float
    cpu: float
    memory_bytes: int
    tasks: Any
    seen_at: datetime


_TASK = TypeAdapter(TaskPresence)


async def read_presence(connection: Connection, agent_ids: Sequence[str]) -> Mapping[str, Presence]:
    """Return the last heartbeats of agents, as far as there are any."""
    if not agent_ids:
        return {}
    async with connection.cursor(row_factory=class_row(Presence)) as cursor:
        await cursor.execute(
            "select agent_id, instance, lifecycle, load, cpu, memory_bytes, tasks, seen_at"
            " from presence where agent_id = any(%s)",
            [list(agent_ids)],
        )
        return {presence.agent_id: presence for presence in await cursor.fetchall()}


def tasks_of(presence: Presence) -> Sequence[TaskPresence]:
    """Return the tasks an agent says it works on; what cannot be understood is left out."""
    tasks: list[TaskPresence] = []
    for said in presence.tasks if isinstance(presence.tasks, list) else ():  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] # a signal is whatever was said
        try:
            tasks.append(_TASK.validate_python(said))
        except ValidationError:
            continue
    return tasks
