"""Makes a process fail on purpose, where that is allowed, and say where it stands when it hangs."""

import asyncio
import faulthandler
import signal
import sys
from types import FrameType

import structlog

from bus.failpoints import Failpoints, watch
from infra.settings import Settings

log = structlog.get_logger(__name__)


def arm(settings: Settings, *, process: str) -> None:
    """Arm the failpoints that the settings name, if they allow chaos as well.

    Raises:
        UnreadableFailpoint: They are written in no form that is known.
    """
    if settings.fail is None:
        return
    if not settings.chaos:
        log.warning("failpoints.ignored", why="TASKLOOM_CHAOS is not set", fail=settings.fail)
        return
    signal.signal(signal.SIGUSR2, _say_where)
    watch(Failpoints(settings.fail, log=settings.fail_log, process=process))
    log.warning("failpoints.armed", fail=settings.fail)


def _say_where(number: int, frame: FrameType | None) -> None:
    """Write down where every thread and every task stands."""
    del number, frame
    faulthandler.dump_traceback(sys.stderr, all_threads=True)
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:  # no loop runs
        return
    for task in sorted(tasks, key=lambda one: one.get_name()):
        stack = " < ".join(f"{f.f_code.co_qualname}:{f.f_lineno}" for f in task.get_stack(limit=3))
        sys.stderr.write(f"task {task.get_name()}: {task.get_coro()} {stack}\n")
    sys.stderr.flush()
