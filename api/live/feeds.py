"""Feeds: where what a reader follows is found, in the log and in the views."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from psycopg_pool import AsyncConnectionPool

from api.live.frames import (
    AGENTS_TOPIC,
    Frame,
    agent_status,
    run_status,
    task_frame,
)
from api.live.hub import Hub
from bus.ports import Excerpts
from projections.agent_types import AgentTypes
from projections.agents import AGENTS, list_agents
from projections.executions import EXECUTIONS, read_execution
from projections.positions import read_positions
from projections.table import Connection
from projections.tasks import TASKS, TaskRow, read_changed, read_started
from projections.view import AnyView

PAGE: Final = 200
"""Events or tasks that are read at a time."""

_PATIENCE: Final = 1.0
"""Seconds to wait for a connection: then the database counts as silent."""

_WINDOW: Final = 10_000
"""Positions that are looked through at a time."""

_AGENT_TYPES: Final = ("agent.registered", "agent.status", "agent.deregistered")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some frames, and up to where they tell everything."""

    frames: Sequence[Frame]
    position: int
    is_last: bool


class Feed(Protocol):
    """What a reader follows."""

    @property
    def topic(self) -> str:
        """What the hub calls it."""
        ...

    async def recorded(self, after: int) -> Page:
        """Return what the log has after a position."""
        ...

    async def latest(self, after: int | None) -> Page:
        """Return where that stands what has changed after a position, or what matters now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where feeds look."""

    views: AsyncConnectionPool
    excerpts: Excerpts
    head: Callable[[], Awaitable[int]]
    types: AgentTypes
    hub: Hub


class ExecutionFeed:
    """What happens in one execution."""

    def __init__(self, run_id: str, places: Places) -> None:
        self.topic = run_id
        self._places = places

    async def recorded(self, after: int) -> Page:
        """Return what the log has of it after a position."""
        places = self._places
        events = await places.excerpts.read_stream(self.topic, after=after, limit=PAGE)
        types = await places.types.of(events)
        return Page(
            frames=[places.hub.frame_of(recorded, types) for recorded in events],
            position=events[-1].position if events else after,
            is_last=len(events) < PAGE,
        )

    async def latest(self, after: int | None) -> Page:
        """Return where it stands, and the tasks that have changed, or are in an agent's hand."""
        pool = self._places.views
        async with pool.connection(timeout=_PATIENCE) as connection, connection.transaction():
            await connection.execute("set transaction isolation level repeatable read, read only")
            position = await _reached(connection, EXECUTIONS, TASKS)
            row = await read_execution(connection, self.topic)
            if row is None:  # the views have not seen it yet: the log tells all of it
                return Page(frames=[], position=after or 0, is_last=True)
            if after is None:
                tasks = await read_started(connection, self.topic, limit=PAGE)
            else:
                tasks = await read_changed(connection, self.topic, after=after, limit=PAGE)
        is_last = after is None or len(tasks) < PAGE
        frames = [_task(task, row.updated_at) for task in tasks]
        if is_last:
            frames.append(
                run_status(row.run_id, row.status, at=row.updated_at, position=row.position)
            )
        return Page(
            frames=frames, position=position if is_last else tasks[-1].position, is_last=is_last
        )


class AgentsFeed:
    """What happens to agents, and how they are."""

    topic = AGENTS_TOPIC

    def __init__(self, places: Places) -> None:
        self._places = places
        self._knows_them = False

    async def recorded(self, after: int) -> Page:
        """Return what the log has of agents after a position."""
        places = self._places
        if not self._knows_them:
            await self.latest(after)
        head = await places.head()
        up_to = min(after + _WINDOW, max(head, after))
        events = await places.excerpts.read_types(_AGENT_TYPES, after=after, up_to=up_to)
        return Page(
            frames=[places.hub.frame_of(recorded, {}) for recorded in events],
            position=up_to,
            is_last=up_to >= head,
        )

    async def latest(self, after: int | None) -> Page:
        """Return how every agent is that has registered, or those that have changed."""
        pool = self._places.views
        async with pool.connection(timeout=_PATIENCE) as connection, connection.transaction():
            await connection.execute("set transaction isolation level repeatable read, read only")
            position = await _reached(connection, AGENTS)
            agents = await list_agents(connection)
        self._knows_them = True
        frames: list[Frame] = []
        for agent in agents:
            row, presence = agent.row, agent.presence
            load = round(presence.load, 3) if presence else None
            self._places.hub.healths[row.agent_id] = row.health
            if load is not None:
                self._places.hub.loads[row.agent_id] = load
            if row.is_registered if after is None else row.position > after:
                frames.append(
                    agent_status(
                        row.agent_id, agent.status, load, at=row.updated_at, position=row.position
                    )
                )
        return Page(frames=frames, position=position, is_last=True)


def _task(row: TaskRow, at: datetime) -> Frame:
    return task_frame(
        row.run_id,
        row.task_id,
        row.status,
        at=row.ended_at or row.started_at or row.dispatched_at or at,
        position=row.position,
        agent_type=row.instead or row.agent_type,
        result=row.result,
        reason=row.reason,
    )


async def _reached(connection: Connection, *views: AnyView) -> int:
    """Return the position that all of some views have reached."""
    positions = await read_positions(connection, views)
    return min(positions.get(view.follower, 0) for view in views)
