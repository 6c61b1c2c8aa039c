"""What views show of a run, read for the question why a task of it is not done."""

from collections.abc import Mapping, Sequence
from typing import Final, LiteralString

from psycopg.rows import class_row

from domain.causes import Link
from domain.errors import NotFound, UnknownRun, UnknownTask
from projections.agents import AGENTS, list_agents
from projections.attempts import ATTEMPTS, AttemptRow, read_attempts
from projections.breakers import BREAKERS, list_breakers
from projections.executions import EXECUTIONS, ExecutionRow, read_execution
from projections.explain import Seen, Unmet, agent_type_of, links_of
from projections.presence import read_presence
from projections.table import Connection
from projections.tasks import TASKS, TaskRow
from projections.view import AnyView

WHY: Final[tuple[AnyView, ...]] = (EXECUTIONS, TASKS, ATTEMPTS, AGENTS, BREAKERS)
"""The views that are asked."""

MOST = 200
"""How many tasks at the roots of a run are looked at, the longest under way first."""

# Down from a task over everything that is not done; ``union`` visits each once.
_BEHIND: Final = """
    with recursive behind(task_id) as (
        values (%(task_id)s::text collate "C")
        union
        select need from behind
        join views.tasks_2 t on t.run_id = %(run_id)s and t.task_id = behind.task_id
        cross join lateral unnest(t.needs) need
        where t.status <> 'completed' and not t.is_waived
    )
    select t.task_id, t.status, t.needs from behind
    join views.tasks_2 t on t.run_id = %(run_id)s and t.task_id = behind.task_id
    where t.status <> 'completed' and not t.is_waived
"""

_THESE: Final = """
    select * from views.tasks_2 where run_id = %(run_id)s and task_id = any(%(names)s)
"""

# What waits for no other task, or has failed.
_AT_THE_ROOTS: Final = """
    select t.* from views.tasks_2 t
    where t.run_id = %(run_id)s
    and t.status in ('pending', 'lost', 'dispatched', 'started', 'failed')
    and not exists (
        select from unnest(t.needs) need
        join views.tasks_2 n on n.run_id = t.run_id and n.task_id = need
        where n.status <> 'completed' and not n.is_waived
    )
    order by t.status = 'failed' desc, t.started_at, t.dispatched_at, t.task_id limit %(most)s
"""

_UNDER_WAY: Final = """
    select * from views.tasks_2
    where run_id = %(run_id)s and status in ('dispatched', 'started')
    order by task_id limit %(most)s
"""


class AmbiguousTask(NotFound):
    """Several unfinished runs have a task of this name."""

    code = "ambiguous-task"

    def __init__(self, task_id: str, run_ids: Sequence[str]) -> None:
        super().__init__(f"several runs have a task {task_id}, say which: {', '.join(run_ids)}")


class NoSuchTask(NotFound):
    """No unfinished run has a task of this name."""

    code = "no-such-task"

    def __init__(self, task_id: str) -> None:
        super().__init__(
            f"no run that is not over has a task {task_id}; `why RUN TASK` asks others"
        )


async def run_of(connection: Connection, task_id: str) -> str:
    """Return the one run that is not over and has a task.

    Raises:
        NotFound: None has, or several have.
    """
    cursor = await connection.execute(
        "select run_id from views.executions_2 join views.tasks_2 using (run_id)"
        " where executions_2.status in ('running', 'paused') and task_id = %s"
        " order by run_id limit 5",
        [task_id],
    )
    match [str(run_id) for (run_id,) in await cursor.fetchall()]:
        case []:
            raise NoSuchTask(task_id)
        case [run_id]:
            return run_id
        case run_ids:
            raise AmbiguousTask(task_id, run_ids)


async def see_task(connection: Connection, run_id: str, task_id: str) -> Seen:
    """Return what has to be known to say why one task is not done.

    Raises:
        NotFound: There is no such run, or no such task in it.
    """
    run = await _require(connection, run_id)
    cursor = await connection.execute(_BEHIND, {"run_id": run_id, "task_id": task_id})
    links = links_of(
        {name: Unmet(status=status, needs=needs) for name, status, needs in await cursor.fetchall()}
    )
    # Of what only waits for others, nothing else matters: there may be very many of it.
    ends = {name for link in links.values() for name in link.tasks} - links.keys()
    tasks = await _tasks(connection, _THESE, run_id, names=sorted({task_id, *ends}))
    if all(task.task_id != task_id for task in tasks):
        raise UnknownTask(run_id, task_id)
    return await _see(connection, run, tasks, links)


async def see_run(connection: Connection, run_id: str) -> Seen:
    """Return what has to be known to say what a run waits for.

    Raises:
        UnknownRun: There is no such run.
    """
    run = await _require(connection, run_id)
    return await _see(connection, run, await _tasks(connection, _AT_THE_ROOTS, run_id), {})


async def _require(connection: Connection, run_id: str) -> ExecutionRow:
    run = await read_execution(connection, run_id)
    if run is None:
        raise UnknownRun(run_id)
    return run


async def _tasks(
    connection: Connection, query: LiteralString, run_id: str, *, names: Sequence[str] = ()
) -> Sequence[TaskRow]:
    async with connection.cursor(row_factory=class_row(TaskRow)) as cursor:
        await cursor.execute(query, {"run_id": run_id, "names": list(names), "most": MOST})
        return await cursor.fetchall()


async def _see(
    connection: Connection,
    run: ExecutionRow,
    found: Sequence[TaskRow],
    links: Mapping[str, Link],
) -> Seen:
    under_way = await _tasks(connection, _UNDER_WAY, run.run_id)
    tasks = {task.task_id: task for task in (*under_way, *found)}
    types = sorted({agent_type_of(task) for task in tasks.values()})
    agents = [
        agent
        for agent_type in types
        for agent in await list_agents(connection, agent_type=agent_type)
    ]
    attempts = await read_attempts(connection, [(run.run_id, name) for name in tasks])
    holders = {attempt.agent_id for attempt in attempts if attempt.agent_id is not None}
    heard = await read_presence(
        connection, sorted(holders | {agent.row.agent_id for agent in agents})
    )
    return Seen(
        run=run,
        links=links,
        tasks=tasks,
        attempts=_by_task(attempts),
        in_flight=await _in_flight(connection, run.run_id),
        agents=agents,
        heartbeats=list(heard.values()),
        breakers=await list_breakers(connection),
        published=await _published(connection),
    )


def _by_task(attempts: Sequence[AttemptRow]) -> dict[str, AttemptRow]:
    return {attempt.task_id: attempt for attempt in attempts}


async def _in_flight(connection: Connection, run_id: str) -> dict[str, int]:
    cursor = await connection.execute(
        "select coalesce(instead, agent_type), count(*) from views.tasks_2"
        " where run_id = %s and status in ('dispatched', 'started') group by 1 order by 1",
        [run_id],
    )
    return dict(await cursor.fetchall())


async def _published(connection: Connection) -> int:
    cursor = await connection.execute("select position from positions where follower = 'relay'")
    (position,) = await cursor.fetchone() or (0,)
    return int(position)
