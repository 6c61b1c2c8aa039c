"""From a goal to its first dispatched task, with rules alone: over RabbitMQ, as the log has it."""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg

from infra.migrations import upgrade
from tests.agents.carrying import PLANNERS, WORKERS
from tests.support.planning import enter, post
from tests.system.processes import ROOT, running

GOALS = sorted((ROOT / "agents" / "goals").glob("*.json"))

_TOOK = (
    "select extract(epoch from min(begun.at) - created.at)"
    " from (select stream, (event->'meta'->>'at')::timestamptz as at from event_log"
    "       where type = 'plan.created') as created"
    " join (select stream, (event->'meta'->>'at')::timestamptz as at from event_log"
    "       where type = 'task.dispatched' and stream like 'exec_%-1') as begun"
    " on begun.stream = 'exec_' || substr(created.stream, 6) || '-1'"
    " group by created.stream, created.at"
)


async def measure(dsn: str, amqp_url: str, *, rounds: int, at_once: int) -> Sequence[float]:
    """Submit each sample goal so many times, some at once; return the seconds each took, sorted."""
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(upgrade, dsn)
    with tempfile.TemporaryDirectory() as folder:
        context = running(Path(folder), dsn, amqp_url)
        stack = await loop.run_in_executor(None, context.__enter__)
        try:
            async with AsyncExitStack() as agents:
                everybody = [*PLANNERS.values(), *WORKERS.values()]
                await enter(agents, everybody, amqp_url)
                await asyncio.to_thread(
                    stack.until,
                    lambda: stack.count("agent.registered") == len(everybody) and stack.is_shown(),
                    "everybody is there",
                )
                wanted = [json.loads(file.read_text()) for file in GOALS] * rounds
                for first in range(0, len(wanted), at_once):
                    plans = await asyncio.gather(
                        *(
                            post(stack, each["goal"], **each["options"])
                            for each in wanted[first : first + at_once]
                        )
                    )
                    for plan_id in plans:
                        await asyncio.to_thread(stack.until_completed, plan_id)
        finally:
            await loop.run_in_executor(None, context.__exit__, None, None, None)
    with psycopg.connect(dsn) as connection:
        return sorted(float(row[0]) for row in connection.execute(_TOOK.encode()).fetchall())
