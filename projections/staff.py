"""Which agents are there, and which work waits for others: across the views of both."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import cast

from psycopg.errors import UndefinedTable

from domain.values import AgentType
from projections.table import Connection

MOST_MISSED = 1_000


async def read_available(connection: Connection) -> Mapping[AgentType, Sequence[str] | None]:
    """Return the types of agents that are there, with the actions that any of them has.

    None stands for a type of which some agent does not say what it can do.
    """
    try:
        cursor = await connection.execute(
            "select agent_type, metadata->'actions' from views.agents_1"
            " where is_registered and role = 'execution' and health <> 'offline'"
        )
        rows = await cursor.fetchall()
    except UndefinedTable:  # nobody has kept views yet
        return {}
    found: dict[AgentType, set[str] | None] = {}
    for agent_type, actions in rows:
        known = found.setdefault(agent_type, set())
        if not isinstance(actions, list):
            found[agent_type] = None
        elif known is not None:
            known.update(map(str, cast("list[object]", actions)))
    return {
        name: None if actions is None else sorted(actions)
        for name, actions in sorted(found.items())
    }


async def read_missed(
    connection: Connection, *, patience: timedelta
) -> Sequence[tuple[str, AgentType]]:
    """Return runs and types: work of theirs waits, and no agent has been there for so long."""
    try:
        cursor = await connection.execute(
            "select distinct run_id, agent_type from views.attempts_2 a"
            " where state = 'dispatched' and role = 'execution'"
            " and since + delay * interval '1 second' < now() - %(patience)s"
            " and not exists (select from views.agents_1 b where b.agent_type = a.agent_type"
            " and is_registered and role = 'execution'"
            " and (health <> 'offline' or updated_at > now() - %(patience)s))"
            " order by run_id, agent_type limit %(most)s",
            {"patience": patience, "most": MOST_MISSED},
        )
        return [(run_id, agent_type) for run_id, agent_type in await cursor.fetchall()]
    except UndefinedTable:
        return []
