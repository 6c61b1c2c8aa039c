"""Which type of agent a task is for: events tell who holds it, readers ask what kind that is."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from psycopg_pool import AsyncConnectionPool

from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import TaskDispatched

MOST_KNOWN: Final = 50_000
"""Tasks whose type is remembered; of others the view is asked again."""

Attempted = tuple[str, str]
"""The ids of a run and of one of its tasks."""


class AgentTypes:
    """Remembers what was dispatched to whom, and asks the view of tasks for the rest."""

    def __init__(self, pool: AsyncConnectionPool, *, patience: float = 1.0) -> None:
        self._pool = pool
        self._patience = patience
        self._known: OrderedDict[Attempted, str] = OrderedDict()

    async def of(self, events: Sequence[Recorded[Event]]) -> Mapping[Attempted, str]:
        """Return the types of the agents that hold the tasks events speak of, as far as known."""
        wanted: set[Attempted] = set()
        for recorded in events:
            event = recorded.event
            if isinstance(event, TaskDispatched):
                self._learn((event.run_id, event.task_id), event.agent)
            elif (task_id := getattr(event, "task_id", None)) is not None:
                wanted.add((recorded.stream, task_id))
        missing = [task for task in wanted if task not in self._known]
        if missing:
            await self._ask(missing)
        return {task: self._known[task] for task in wanted if task in self._known}

    async def _ask(self, tasks: Sequence[Attempted]) -> None:
        async with self._pool.connection(timeout=self._patience) as connection:
            cursor = await connection.execute(
                "select run_id, task_id, coalesce(instead, agent_type) from views.tasks_2"
                " join unnest(%s::text[], %s::text[]) as asked (run_id, task_id)"
                " using (run_id, task_id)",
                [[run_id for run_id, _ in tasks], [task_id for _, task_id in tasks]],
            )
            found: Iterable[tuple[str, str, str]] = await cursor.fetchall()
        for run_id, task_id, agent_type in found:
            self._learn((run_id, task_id), agent_type)

    def _learn(self, task: Attempted, agent_type: str) -> None:
        self._known[task] = agent_type
        self._known.move_to_end(task)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
