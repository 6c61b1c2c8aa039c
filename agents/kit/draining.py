"""Waiting for what an agent has in hand, within bounds."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

GOODBYE: Final = 1.0
"""Seconds that what is given up has for its end."""


async def drain(running: Collection[asyncio.Task[Any]], grace: float | None) -> int:
    """Wait so many seconds for tasks, or for all of them; give up the rest, and count them."""
    if not running:
        return 0
    _, late = await asyncio.wait(running, timeout=grace)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=GOODBYE)
    return len(late)
