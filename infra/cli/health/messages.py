"""Looks at the broker: whether it answers, and has every exchange and queue of the topology."""

import asyncio
from typing import Any

import aio_pika
from aio_pika.abc import AbstractConnection
from aiormq.exceptions import AMQPError, ChannelNotFoundEntity

from bus.connect import with_heartbeat, without_password
from bus.topology import topology
from infra.cli.health.findings import Finding, fail, ok, warn

IN_TIME = 10.0
"""Seconds that the broker has for everything."""


async def look_at_broker(url: str) -> list[Finding]:
    """Return what is found."""
    place = without_password(url)
    try:
        async with asyncio.timeout(IN_TIME):
            connection = await aio_pika.connect(with_heartbeat(url, name="doctor"), timeout=5)
            async with connection:
                found = ok("broker", f"{_product(connection)} at {place}")
                return [found, await _topology(connection)]
    except (AMQPError, OSError, TimeoutError) as error:
        said = str(error) or type(error).__name__
        return [fail("broker", f"{place}: {said}", "start it, or correct TASKLOOM_AMQP__URL")]


def _product(connection: AbstractConnection) -> str:
    inner: Any = getattr(connection.transport, "connection", None)
    properties: dict[str, Any] = getattr(inner, "server_properties", None) or {}
    words = (properties.get("product", "AMQP"), properties.get("version", ""))
    return " ".join(word.decode() if isinstance(word, bytes) else str(word) for word in words)


async def _topology(connection: AbstractConnection) -> Finding:
    wanted = topology()
    missing: list[str] = []
    channel = await connection.channel()
    for exchange in wanted.exchanges:
        try:
            await channel.get_exchange(exchange.name, ensure=True)
        except ChannelNotFoundEntity:  # which closes the channel
            missing.append(exchange.name)
            channel = await connection.channel()
    waiting = 0
    for queue in wanted.queues:
        try:
            found = await channel.declare_queue(queue.name, passive=True)
        except ChannelNotFoundEntity:
            missing.append(queue.name)
            channel = await connection.channel()
        else:
            waiting += found.declaration_result.message_count or 0
    if missing:
        few = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        return warn(
            "topology",
            f"{len(missing)} exchanges or queues are missing: {few}",
            "the coordinator declares them when it starts: `taskloom serve coordinator`",
        )
    count = f"{len(wanted.exchanges)} exchanges and {len(wanted.queues)} queues"
    return ok("topology", f"{count} are there; {waiting} messages wait")
