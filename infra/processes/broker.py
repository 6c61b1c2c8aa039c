"""The embedded broker as a process of its own, so that nobody's rendering delays a message."""

import asyncio
from urllib.parse import unquote, urlsplit

import structlog

from bus.embedded.broker import EmbeddedBroker
from infra.processes.parts import required
from infra.settings import Settings

log = structlog.get_logger(__name__)


async def run(settings: Settings) -> None:
    """Be the broker that ``amqp.url`` speaks of until cancelled."""
    place = urlsplit(required(settings.amqp.url, "TASKLOOM_AMQP__URL"))
    broker = EmbeddedBroker(
        host=place.hostname or "127.0.0.1",
        port=5672 if place.port is None else place.port,
        user=unquote(place.username or "guest"),
        password=unquote(place.password or "guest"),
    )
    async with broker:
        log.info("broker.listens", port=broker.port)
        await asyncio.Event().wait()
