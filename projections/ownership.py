"""Whose a plan or an execution is: who asked for it."""

from psycopg_pool import AsyncConnectionPool

from projections.table import Connection


async def owner_of_plan(connection: Connection, plan_id: str) -> str | None:
    """Return who asked for a plan, or None where there is none."""
    cursor = await connection.execute(
        "select actor from views.plans_3 where plan_id = %s", [plan_id]
    )
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def owner_of_run(connection: Connection, run_id: str) -> str | None:
    """Return who asked for the plan of a run, or None where there is none.

    A run without a plan is the system's own: nobody owns it.
    """
    cursor = await connection.execute(
        "select coalesce(p.actor, '') from views.executions_2 e"
        " left join views.plans_3 p on p.plan_id = e.plan_id where e.run_id = %s",
        [run_id],
    )
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def owner_in(pool: AsyncConnectionPool, plan_id: str) -> str | None:
    """Return who asked for a plan, over a connection of its own."""
    async with pool.connection() as connection:
        return await owner_of_plan(connection, plan_id)
