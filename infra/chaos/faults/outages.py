"""Long outages, which a run is made for: the broker away for a minute, or with nothing on it."""

import asyncio
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import aio_pika
import httpx2
from aiormq.exceptions import AMQPError

from bus.topology import work_queues
from infra.chaos.agent import TYPE
from infra.chaos.faults.fault import Fault, Means, Outcome, came, fault
from infra.chaos.processes import send
from infra.chaos.world import World

DOWN_S: Final = 60.0
OPEN: Final = 10_000
_PATIENCE_S: Final = 120.0
_IN_HAND: Final = 500
"""Tasks that agents may have fetched before they were made to stand still: so many come on top."""

_QUESTIONS: Final = ("/status", "/plans?limit=5", "/executions?limit=5", "/agents")


async def _broker_down(means: Means) -> Outcome:
    """Take the broker away for a minute; meanwhile goals are accepted and questions answered."""
    world, asked, unanswered = means.world, 0, 0
    before = len(means.plans())
    means.begun(seconds=DOWN_S)
    await world.rabbitmq.crash()
    until = time.monotonic() + DOWN_S
    async with world.client(timeout=5) as client:
        while time.monotonic() < until:
            means.nudge()
            for question in _QUESTIONS:
                asked += 1
                unanswered += not await _answers(client, f"{world.api_url}/api/v1{question}")
            await asyncio.sleep(0.5)
    accepted = len(means.plans()) - before
    await world.rabbitmq.launch()
    return came(
        fired=accepted > 0, asked=asked, unanswered=unanswered, accepted=accepted, down_s=DOWN_S
    )


async def _answers(client: httpx2.AsyncClient, url: str) -> bool:
    with suppress(httpx2.HTTPError):
        return (await client.get(url)).is_success
    return False


async def _broker_wiped(means: Means) -> Outcome:
    """Lose the broker's disk while ten thousand tasks wait, and see when all their work is back."""
    world = means.world
    agents = world.processes.of("agent")
    for agent in agents:
        send(agent, signal.SIGSTOP)
    try:
        for tasks in (OPEN, _IN_HAND):
            await means.submit(tasks)
        was = await _until(world, OPEN)
        means.begun(open=was)
        await world.rabbitmq.crash(wipe=True)
        await world.rabbitmq.launch()
        began = time.monotonic()
        back = await _until(world, was)
        took = time.monotonic() - began
    finally:
        for agent in agents:
            send(agent, signal.SIGCONT)
    world.history.write(
        "measured",
        "all owed work is back after the broker's disk was lost",
        count=back,
        max=took,
        remarks=f"{was} tasks open",
    )
    return came(fired=was >= OPEN, open=was, back=back, back_s=took if back >= was else None)


async def _until(world: World, count: int) -> int:
    """Return how much work waits, as soon as it is so much, or when it takes too long."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        depth = await _waiting(world.amqp_url)
        if depth >= count or time.monotonic() > deadline:
            return depth
        await asyncio.sleep(0.5)


async def _waiting(url: str) -> int:
    total = 0
    with suppress(AMQPError, OSError, TimeoutError):
        async with await aio_pika.connect(url) as connection:
            for queue in work_queues("execution", TYPE):
                channel = await connection.channel()
                declared = await channel.declare_queue(queue.name, passive=True)
                total += declared.declaration_result.message_count or 0
    return total


OUTAGES: Final[Sequence[Fault]] = (
    fault("F-B8", "outage", "broker away for 60 s", _broker_down),
    fault("F-B9", "outage", "broker's disk lost with 10,000 open tasks", _broker_wiped),
)
