"""Runs one process until it is told to end: once politely, twice at once."""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine

import structlog

from domain.errors import TaskloomError

log = structlog.get_logger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_until_told(work: Coroutine[None, None, None], *, grace: float) -> None:
    """Run until the work is done or a signal comes, which leaves it ``grace`` seconds to end.

    Does not return when the grace has passed or a second signal comes: the process ends there.
    """
    run_to_its_end(_until_told(work, grace=grace))


def run_to_its_end(work: Coroutine[None, None, None]) -> None:
    """Run work that listens for signals itself; what nobody foresaw is logged with its trace."""
    try:
        with asyncio.Runner(loop_factory=_fast_loop()) as runner:
            runner.run(work)
    except TaskloomError:
        raise
    except Exception:
        log.exception("process.failed")
        sys.exit(1)


async def _until_told(work: Coroutine[None, None, None], *, grace: float) -> None:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()

    def tell() -> None:
        if told.is_set():
            os._exit(130)
        told.set()

    for one in _SIGNALS:
        loop.add_signal_handler(one, tell)
    task = asyncio.create_task(work)
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        return task.result()
    task.cancel()
    ended, _ = await asyncio.wait({task}, timeout=grace)
    if not ended:
        log.error("process.killed", why=f"it did not end within {grace:g} s")
        os._exit(1)
    return None if task.cancelled() else task.result()


def _fast_loop() -> "type[asyncio.AbstractEventLoop] | None":
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop
