"""The floor: the durable steps of a task, written by hand with psycopg and aio-pika, nothing else.

A dispatcher commits ``task.dispatched`` in groups and publishes the work with confirms. An agent
in another process takes it, publishes ``task.started`` and ``task.completed`` with confirms and
acks. The dispatcher commits the reports in groups, then acks. Three events and three messages a
task, durable at every step; no envelope, no checks, no leases, no views, no graph.
"""

import asyncio
import json
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

import aio_pika
import psycopg
from aio_pika.abc import AbstractIncomingMessage

QUORUM = {"x-queue-type": "quorum"}
WORK, REPORTS = "floor.work", "floor.reports"
WINDOW, PREFETCH, GROUP = 200, 200, 500
PADDING = "x" * 300
"""Makes a message about as large as ours."""

Append = Callable[[Sequence[tuple[str, str, str]]], Awaitable[None]]


async def _agent(url: str) -> None:
    connection = await aio_pika.connect_robust(url)
    out = await (await aio_pika.connect_robust(url)).channel()
    channel = await connection.channel()
    await channel.set_qos(PREFETCH)
    queue = await channel.declare_queue(WORK, durable=True, arguments=QUORUM)

    async def report(kind: str, task: str) -> None:
        body = json.dumps({"type": kind, "task": task, "padding": PADDING}).encode()
        message = aio_pika.Message(body, message_id=str(uuid4()), delivery_mode=2)
        await out.default_exchange.publish(message, routing_key=REPORTS)

    async def work(message: AbstractIncomingMessage) -> None:
        task = json.loads(message.body)["task"]
        await report("task.started", task)
        await message.ack()
        await report("task.completed", task)

    await queue.consume(work)
    await asyncio.Event().wait()


def _agent_process(url: str) -> None:
    asyncio.run(_agent(url))


async def _dispatch(dsn: str, url: str, count: int) -> float:
    database = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    await database.execute(
        "create table floor_events (task text, type text, body jsonb, position bigserial unique,"
        " primary key (task, type))"
    )

    async def append(events: Sequence[tuple[str, str, str]]) -> None:
        columns = [list(column) for column in zip(*events, strict=True)]
        await database.execute(
            "insert into floor_events (task, type, body)"
            " select * from unnest(%s::text[], %s::text[], %s::jsonb[]) on conflict do nothing",
            columns,
        )

    connection = await aio_pika.connect_robust(url)
    publishing = await aio_pika.connect_robust(url)
    out = await publishing.channel()
    channel = await connection.channel()
    await channel.set_qos(2 * GROUP)
    await channel.declare_queue(WORK, durable=True, arguments=QUORUM)
    reports = await channel.declare_queue(REPORTS, durable=True, arguments=QUORUM)
    arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    await reports.consume(arrived.put)
    process = multiprocessing.get_context("spawn").Process(target=_agent_process, args=(url,))
    process.start()
    try:
        await asyncio.sleep(2)  # the agent's start is not measured
        started = time.perf_counter()
        recording = asyncio.create_task(_record(arrived, append, count))
        names = [f"task-{number:06}" for number in range(count)]
        for start in range(0, count, GROUP):
            group = names[start : start + GROUP]
            bodies = [json.dumps({"task": name, "padding": PADDING}) for name in group]
            await append(
                [(name, "task.dispatched", body) for name, body in zip(group, bodies, strict=True)]
            )
            for window in range(0, len(group), WINDOW):
                await asyncio.gather(
                    *(
                        out.default_exchange.publish(
                            aio_pika.Message(
                                body.encode(), message_id=str(uuid4()), delivery_mode=2
                            ),
                            routing_key=WORK,
                        )
                        for body in bodies[window : window + WINDOW]
                    )
                )
        await recording
        return time.perf_counter() - started
    finally:
        process.kill()
        process.join()
        await connection.close()
        await publishing.close()
        await database.close()


async def _record(
    arrived: asyncio.Queue[AbstractIncomingMessage], append: Append, count: int
) -> None:
    completed = 0
    while completed < count:
        group = [await arrived.get()]
        while len(group) < GROUP and not arrived.empty():
            group.append(arrived.get_nowait())
        said = [json.loads(message.body) for message in group]
        await append(
            [
                (report["task"], report["type"], message.body.decode())
                for report, message in zip(said, group, strict=True)
            ]
        )
        await group[-1].channel.basic_ack(group[-1].delivery_tag, multiple=True)
        completed += sum(report["type"] == "task.completed" for report in said)


def measure(dsn: str, url: str, count: int) -> float:
    """Return the tasks per second that the floor carries out."""
    return count / asyncio.run(_dispatch(dsn, url, count))
