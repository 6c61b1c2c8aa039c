"""The timekeeper: finds the timeouts that have struck, whoever was to see to them before a crash.

When a timeout strikes stands in the record, with the attempt. Nothing is kept here: what is overdue
is asked for again and again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import structlog

from bus.ports import Clock
from bus.recorder import Recorder
from bus.telling import saying, tell
from domain.errors import Unavailable
from domain.run import attempt_name
from domain.run_events import TaskTimedOut, Timeout

log = structlog.get_logger(__name__)

ACTOR = "taskloom.timekeeper"
PAUSE: Final = 0.25
"""Seconds between two looks."""

AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """An attempt that has taken longer than it may."""

    run_id: str
    task_id: str
    epoch: int
    agent_id: str | None
    timeout: Timeout


class Timers(Protocol):
    """The timeouts of open attempts, as far as the log has been followed."""

    async def overdue(self, *, now: datetime, limit: int) -> Sequence[Overdue]:
        """Return the attempts whose timeout has struck, the longest overdue first."""
        ...


class Timekeeper:
    """Says of what is overdue that it has timed out."""

    def __init__(self, timers: Timers, recorder: Recorder, clock: Clock) -> None:
        self._timers = timers
        self._recorder = recorder
        self._clock = clock

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            try:
                await self.look()
            except Unavailable as error:
                log.warning("timekeeper.waits", why=str(error))
            await asyncio.sleep(PAUSE)

    async def look(self) -> None:
        """Look once."""
        now = self._clock.now()
        overdue = await self._timers.overdue(now=now, limit=AT_ONCE)
        if not overdue:
            return
        log.info("timekeeper.strikes", attempts=len(overdue))
        await tell(
            self._recorder,
            [
                saying(
                    TaskTimedOut(
                        run_id=each.run_id,
                        task_id=each.task_id,
                        epoch=each.epoch,
                        agent_id=each.agent_id,
                        timeout=each.timeout,
                    ),
                    each.run_id,
                    purpose=f"{attempt_name('', each.task_id, each.epoch)}/{each.timeout}",
                    now=now,
                    actor=ACTOR,
                )
                for each in overdue
            ],
        )
