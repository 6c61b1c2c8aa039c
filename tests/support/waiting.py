"""Waiting for something to become true, with a deadline instead of a guess."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool], what: str, *, seconds: float = 20.0) -> None:
    """Wait until a condition holds; past the deadline, fail and say what was awaited."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(0.02)
