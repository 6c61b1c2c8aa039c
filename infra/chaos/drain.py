"""After the faults all is healed, and the stack has to finish what it accepted by itself."""

import asyncio
import signal
import time
from contextlib import suppress
from typing import Any

import aio_pika
import psycopg
from aiormq.exceptions import AMQPError, ChannelNotFoundEntity

from bus.topology import DEAD, REPORTS
from domain.errors import Unavailable
from infra.chaos.processes import send
from infra.chaos.watcher import Watcher
from infra.chaos.workload import Workload
from infra.chaos.world import World

_QUIET = 1.0
"""Seconds for which nothing new may be recorded before it counts as quiet."""

_STALL = 8.0
"""Seconds without any event after which it is written down where the messages are."""


async def drain(world: World, watcher: Watcher, workload: Workload, *, seconds: float) -> str:
    """Wait until nothing is left to do, and return what still is when the seconds are over."""
    deadline = time.monotonic() + seconds
    left = ""
    moved, position = time.monotonic(), watcher.position
    while time.monotonic() < deadline:
        if watcher.position != position:
            moved, position = time.monotonic(), watcher.position
        elif time.monotonic() - moved > _STALL:
            moved = time.monotonic()
            for process in world.processes.every.values():
                send(process, signal.SIGUSR2)  # it says in its log where it stands
            world.history.write("stalled", left, queues=await _queues(world))
        if not (left := await _left(world, watcher, workload)):
            before = watcher.position
            await asyncio.sleep(_QUIET)
            if watcher.position == before and not await _left(world, watcher, workload):
                return ""
        await asyncio.sleep(0.2)
    return left or "it does not come to rest"


async def _left(world: World, watcher: Watcher, workload: Workload) -> str:
    open_ = [plan for plan in workload.plans.values() if run_of(plan) not in watcher.ended]
    if open_:
        return f"{len(open_)} runs have not ended, such as {run_of(open_[0])}"
    behind = await _behind(world.dsn)
    if behind:
        return behind
    for queue in (REPORTS, DEAD):
        if depth := await _depth(world.amqp_url, queue):
            return f"{depth} messages wait in {queue}"
    return ""


def run_of(plan_id: str) -> str:
    """Return the id of the first execution of a plan."""
    return f"exec_{plan_id.removeprefix('plan_')}-1"


async def _queues(world: World) -> str:
    try:
        return await world.rabbitmq.control(
            "list_queues", "name", "messages_ready", "messages_unacknowledged", "consumers"
        )
    except Unavailable as error:
        return str(error)


async def _behind(dsn: str) -> str:
    try:
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            rows: list[tuple[Any, ...]] = await (
                await connection.execute(
                    "select follower, position, (select max(notification_id) from events)"
                    " from positions where position < (select max(notification_id) from events)"
                )
            ).fetchall()
    except psycopg.Error as error:
        return f"the database does not answer: {error}"
    return "; ".join(f"{name} is at {at} of {head}" for name, at, head in rows)


async def _depth(url: str, queue: str) -> int:
    with suppress(ChannelNotFoundEntity):
        try:
            async with await aio_pika.connect(url) as connection:
                channel = await connection.channel()
                declared = await channel.declare_queue(queue, passive=True)
                return declared.declaration_result.message_count or 0
        except (AMQPError, OSError, TimeoutError):
            return 1
    return 0
