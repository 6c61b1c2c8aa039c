"""How loops look again and again, and bear it when what they look at is away."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from domain.errors import Unavailable

log = structlog.get_logger(__name__)


async def look_again(look: Callable[[], Awaitable[None]], *, every: float, who: str) -> None:
    """Look every so many seconds until cancelled; what is away is looked at another time."""
    while True:
        await asyncio.sleep(every)
        try:
            await look()
        except Unavailable as error:
            log.warning("loop.waits", loop=who, why=str(error))
