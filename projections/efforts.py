"""How long each kind of work took in the latest executions; no view of its own: it is a query."""

from collections.abc import Sequence

from domain.estimates import MOST_EFFORTS, Effort
from projections.table import Connection

LATEST_RUNS = 50
MOST_TASKS = 5_000
"""How many tasks are looked at, whatever the size of the runs: a goal is accepted meanwhile."""


async def read_efforts(connection: Connection) -> Sequence[Effort]:
    """Return what was recorded of completed tasks, the most frequent kinds of work first.

    It counts from the start of the attempt that completed a task.
    """
    cursor = await connection.execute(
        "select agent_type, action, count(*),"
        " percentile_cont(array[0.5, 0.9]) within group (order by seconds)"
        " from (select coalesce(instead, agent_type) as agent_type, action,"
        "         greatest(0, extract(epoch from ended_at - started_at))::float8 as seconds"
        "       from (select run_id from views.executions_2 where kind = 'execution'"
        "             order by started_at desc, run_id desc limit %s) as latest"
        "       join views.tasks_2 using (run_id)"
        "       where status = 'completed' and started_at is not null and role = 'execution'"
        "       limit %s) as ended"
        " group by agent_type, action order by count(*) desc, agent_type, action limit %s",
        [LATEST_RUNS, MOST_TASKS, MOST_EFFORTS],
    )
    return [
        Effort(agent=agent, action=action, count=count, p50=round(p50, 6), p90=round(p90, 6))
        for agent, action, count, (p50, p90) in await cursor.fetchall()
    ]
