"""Servers that die, lose their disk, run out of room, or close every connection."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import aio_pika
import psycopg
from aiormq.exceptions import AMQPError

from bus.topology import topology, work_queues
from infra.chaos.agent import TYPE
from infra.chaos.faults.fault import Fault, Means, Outcome, came, fault

_ALARM_S = 2.0


async def _kill_broker(means: Means) -> Outcome:
    return await _relaunch(means, wipe=False)


async def _wipe_broker(means: Means) -> Outcome:
    return await _relaunch(means, wipe=True)


async def _relaunch(means: Means, *, wipe: bool) -> Outcome:
    broker = means.world.rabbitmq
    before = broker.pid
    means.begun(wipe=wipe)
    await broker.crash(wipe=wipe)
    await broker.launch()
    return came(fired=broker.pid != before)


async def _restart_broker(means: Means) -> Outcome:
    means.begun()
    await means.world.rabbitmq.control("stop_app")
    await means.world.rabbitmq.control("start_app")
    return came(fired=True)


async def _alarm_memory(means: Means) -> Outcome:
    return await _alarm(means, "set_vm_memory_high_watermark", "0.000001", "0.6")


async def _alarm_disk(means: Means) -> Outcome:
    return await _alarm(means, "set_disk_free_limit", "9999GB", "100MB")


async def _alarm(means: Means, what: str, low: str, high: str) -> Outcome:
    broker = means.world.rabbitmq
    means.begun()
    await broker.control(what, low)
    await asyncio.sleep(_ALARM_S)
    alarms = await broker.control("eval", "rabbit_alarm:get_alarms().")
    await broker.control(what, high)
    return came(fired="resource_limit" in alarms, alarms=alarms.strip())


async def _cut_broker(means: Means) -> Outcome:
    means.begun()
    await means.world.rabbitmq.control("close_all_connections", "--vhost", "/", "chaos")
    return came(fired=True)


async def _delete_queues(means: Means) -> Outcome:
    names = [queue.name for queue in (*topology().queues, *work_queues("execution", TYPE))]
    if means.lots.random() < 0.7:
        names = [means.lots.choice(names)]
    means.begun(queues=len(names))
    deleted = 0
    with suppress(AMQPError, OSError, TimeoutError):
        async with asyncio.timeout(10):
            connection = await aio_pika.connect(means.world.amqp_url)
            async with connection:
                channel = await connection.channel()
                for name in names:
                    await channel.queue_delete(name)
                    deleted += 1
    return came(fired=deleted > 0, queues=deleted)


async def _restart_database(means: Means) -> Outcome:
    return await _crash_database(means, signal.SIGQUIT)


async def _kill_database(means: Means) -> Outcome:
    return await _crash_database(means, signal.SIGKILL)


async def _crash_database(means: Means, by: signal.Signals) -> Outcome:
    postgres = means.world.postgres
    before = postgres.pid
    means.begun()
    await postgres.crash(by)
    await postgres.start()
    return came(fired=postgres.pid != before)


async def _cut_database(means: Means) -> Outcome:
    means.begun()
    async with await psycopg.AsyncConnection.connect(
        means.world.dsn, autocommit=True
    ) as connection:
        cursor = await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        cut = len(await cursor.fetchall())
    return came(fired=cut > 0, cut=cut)


async def _swallow_commits(means: Means) -> Outcome:
    """Let transactions commit and nobody hear of it: the worst that a network can do."""
    proxies = [one for name, one in means.world.proxies.items() if name.endswith(".db")]
    before = sum(one.swallowed for one in proxies)
    means.begun()
    for proxy in proxies:
        proxy.swallow_commits(2)
    for _ in range(6):
        means.nudge()
        await asyncio.sleep(0.5)
    for proxy in proxies:
        proxy.heal()
    swallowed = sum(one.swallowed for one in proxies) - before
    return came(fired=swallowed > 0, swallowed=swallowed)


SERVERS: Final[Sequence[Fault]] = (
    fault("F-B1a", "broker", "broker killed and started", _kill_broker),
    fault("F-B1b", "broker", "broker stopped and started (stop_app, start_app)", _restart_broker),
    fault("F-B2a", "broker", "memory alarm", _alarm_memory),
    fault("F-B2b", "broker", "disk alarm", _alarm_disk),
    fault("F-B3", "broker", "queues deleted while consumed", _delete_queues),
    fault("F-B4", "broker", "broker killed and its disk lost", _wipe_broker),
    fault("F-B5", "broker", "every connection to the broker closed", _cut_broker),
    fault("F-P4a", "database", "PostgreSQL stopped at once and started", _restart_database),
    fault("F-P4b", "database", "PostgreSQL killed and started", _kill_database),
    fault("F-P6", "database", "replies to COMMIT swallowed", _swallow_commits),
    fault("F-P14", "database", "every connection to the database closed", _cut_database),
)
