"""A run that a history tells of, in views on a real database, and what is asked of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from bus.owed import Depth
from domain.agent import AgentRegistered, AgentStatus, Capacity, Health
from domain.causes import Explanation, Step
from domain.leases import WorkKind
from domain.run_events import RunRequested
from domain.tasks import Task
from projections.catalog import VIEWS
from projections.explain import Surroundings, explain, explain_all
from projections.postgres import PostgresViews
from projections.runner import Runner
from projections.why import see_run, see_task
from tests.support.histories import History
from tests.support.making import RUN_ID

LEASE = timedelta(seconds=5)


@dataclass(slots=True)
class WatchedRun:
    """What has happened, and where it can be seen."""

    pool: AsyncConnectionPool
    history: History = field(default_factory=History)
    depths: dict[WorkKind, Depth] = field(default_factory=dict[WorkKind, Depth])
    published: int | None = None
    """Up to where the relay is; by default it is at the end."""

    def begin(self, *tasks: Task, **changes: object) -> None:
        """Request a run of these tasks."""
        known: dict[str, object] = {"run_id": RUN_ID, "tasks": tasks}
        self.history.say(RunRequested.model_validate(known | changes))

    def hire(self, *agent_ids: str, agent_type: str = "NOOP", health: Health = "healthy") -> None:
        """Register agents, each with room for two tasks."""
        for agent_id in agent_ids:
            self.history.say(
                AgentRegistered(
                    agent_id=agent_id,
                    agent_type=agent_type,
                    capacity=Capacity(max_concurrent_tasks=2),
                    instance="1",
                )
            )
            if health != "healthy":
                self.history.say(AgentStatus(agent_id=agent_id, lifecycle="working", health=health))

    async def beat(
        self,
        agent_id: str,
        *held: tuple[str, int, float],
        ago: float = 0.1,
        run_id: str = RUN_ID,
    ) -> None:
        """Let an agent name tasks, each with its epoch and its progress."""
        tasks = [
            {"run_id": run_id, "task_id": task_id, "epoch": epoch, "progress": progress}
            for task_id, epoch, progress in held
        ]
        async with self.pool.connection() as connection:
            await connection.execute(
                "insert into presence values (%s, '1', 'working', 0.5, 0.1, 1, %s, %s)"
                " on conflict (agent_id) do update set tasks = excluded.tasks,"
                " seen_at = excluded.seen_at",
                [agent_id, Jsonb(tasks), self.now - timedelta(seconds=ago)],
            )

    @property
    def now(self) -> datetime:
        return self.history.now

    def pass_by(self, seconds: float) -> None:
        self.history.now += timedelta(seconds=seconds)

    async def show(self) -> None:
        """Fold what has happened into the views."""
        runner = Runner(views=VIEWS, log=self.history, store=PostgresViews(self.pool))
        await runner.prepare()
        await runner.catch_up()
        head = self.history.head if self.published is None else self.published
        async with self.pool.connection() as connection:
            await connection.execute(
                "insert into positions values ('relay', %s)"
                " on conflict (follower) do update set position = excluded.position",
                [head],
            )

    async def why(self, task_id: str, run_id: str = RUN_ID) -> Explanation | None:
        """Ask why a task is not done."""
        await self.show()
        async with self.pool.connection() as connection:
            seen = await see_task(connection, run_id, task_id)
        return explain(seen, task_id, self.around)

    async def why_run(self, run_id: str = RUN_ID) -> Sequence[Step]:
        """Ask what a run waits for."""
        await self.show()
        async with self.pool.connection() as connection:
            seen = await see_run(connection, run_id)
        return explain_all(seen, self.around)

    @property
    def around(self) -> Surroundings:
        return Surroundings(now=self.now, lease=LEASE, depths=self.depths)
