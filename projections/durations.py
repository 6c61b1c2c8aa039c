"""How long tasks have taken, compared with what was estimated: what forecasts are made of."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from projections.table import Connection

RUNS = 50
"""The latest executions that are looked at: older ones tell of other agents."""

PER_RUN = 1_000
"""Tasks of each that are looked at."""


async def recorded_ratios(connection: Connection) -> Mapping[tuple[str, str], Sequence[float]]:
    """Return by agent type and action, sorted, the time tasks took divided by its estimate."""
    cursor = await connection.execute(
        """
        select t.agent_type, t.action,
               extract(epoch from t.ended_at - t.dispatched_at)::float8 / t.duration_seconds
        from (
            select run_id from views.executions_2 where kind = 'execution'
            order by started_at desc, run_id desc limit %s
        ) r cross join lateral (
            select * from views.tasks_2 t
            where t.run_id = r.run_id and t.status = 'completed' and t.duration_seconds > 0
                and t.dispatched_at is not null and t.ended_at >= t.dispatched_at
            limit %s
        ) t
        """,
        [RUNS, PER_RUN],
    )
    ratios: dict[tuple[str, str], list[float]] = defaultdict(list)
    for agent_type, action, ratio in await cursor.fetchall():
        ratios[agent_type, action].append(ratio)
    return {kind: sorted(known) for kind, known in ratios.items()}
