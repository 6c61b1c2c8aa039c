"""Runs loops side by side, and makes sure that they end.

Before Python 3.12 ``asyncio.wait_for``, which the client library uses for each of its calls,
forgets a cancellation that arrives together with its result. A loop that is cancelled once may
therefore go on: it is cancelled until it has ended.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

AGAIN = 0.5
"""Seconds after which what has not ended is cancelled once more."""


def end_if_told() -> None:
    """End here if this task was told to: the call that was cancelled may have forgotten it.

    Raises:
        CancelledError: It was.
    """
    current = asyncio.current_task()
    if current is not None and current.cancelling():
        raise asyncio.CancelledError


async def run_together(*loops: Coroutine[Any, Any, None]) -> None:
    """Run loops until one of them fails, or the caller is cancelled; then end the others.

    Raises:
        Exception: What the first loop that failed has raised.
    """
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        failed = [task for task in tasks if task.done() and not task.cancelled()]
        await end(tasks)
    for task in failed:
        task.result()


async def end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks until every one of them has ended, whatever it ends with.

    Who is cancelled meanwhile goes on waiting first: a loop that nobody waits for any more would
    live on, and hold what its successor needs.
    """
    pending = {task for task in tasks if not task.done()}
    is_cancelled = False
    while pending:
        for task in pending:
            task.cancel()
        try:
            ended, _ = await asyncio.wait(pending, timeout=AGAIN)
        except asyncio.CancelledError:
            is_cancelled = True
            ended = {task for task in pending if task.done()}
        pending -= ended
        for task in ended:
            if not task.cancelled():
                task.exception()  # it was asked to end: how does not matter
    if is_cancelled:
        raise asyncio.CancelledError
