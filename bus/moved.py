"""What was taken from a silent agent has to begin elsewhere, soon.

An agent that stands still has not left its queue: the broker may hand the next attempt to the same
agent again. So what has not begun after a moment, and does not wait in its queue either, is sent
once more: to whoever is next.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from bus.looking import look_again
from bus.ports import Clock
from bus.relay import Relay
from domain.leases import ANYBODY, Sightings, WorkKind
from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import TaskDispatched
from domain.values import AgentType, Role

log = structlog.get_logger(__name__)

MOMENT: Final = timedelta(seconds=0.4)
"""An agent that has a place for work begins in a tenth of it."""

_PACE: Final = 0.1
_TRIES: Final = 3


class Unstarted(Protocol):
    """The attempts that no agent has started."""

    async def unstarted(self, positions: Collection[int]) -> Collection[int]:
        """Return which of the attempts that were dispatched there have not begun."""
        ...


class Depths(Protocol):
    """How many messages wait on the broker."""

    async def waiting(self, kind: WorkKind) -> int:
        """Return how many tasks of a kind no consumer has in hand."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moved:
    sent_at: datetime
    recorded: Recorded[Event]
    task: TaskDispatched
    tries: int = 0

    @property
    def kind(self) -> WorkKind:
        return (self.task.role, self.task.agent, self.task.lane)


class MovedWork:
    """Watches over attempts that follow lost ones, until they begin."""

    def __init__(
        self,
        *,
        attempts: Unstarted,
        depths: Depths,
        relay: Relay,
        clock: Clock,
        sightings: Callable[[], Sightings],
        holds_back: Callable[[Role, AgentType], bool],
    ) -> None:
        """Take where to look; what a breaker holds back does not begin, and is not stuck."""
        self._attempts = attempts
        self._depths = depths
        self._relay = relay
        self._clock = clock
        self._sightings = sightings
        self._holds_back = holds_back
        self._moved: list[_Moved] = []

    def watch(self, events: Sequence[Recorded[Event]]) -> None:
        """Watch over those attempts among events that may begin at once."""
        now = self._clock.now()
        self._moved += [
            _Moved(sent_at=now, recorded=recorded, task=recorded.event)
            for recorded in events
            if isinstance(recorded.event, TaskDispatched)
            and not recorded.event.delay
            and not self._holds_back(recorded.event.role, recorded.event.agent)
        ]

    async def run(self) -> None:
        """Look again and again until cancelled."""
        await look_again(self.look, every=_PACE, who="moved")

    async def look(self) -> None:
        """Look once after what should have begun by now."""
        now = self._clock.now()
        due = [moved for moved in self._moved if now - moved.sent_at >= MOMENT]
        if not due:
            return
        named = self._sightings().attempts
        silent = [
            moved
            for moved in due
            if (moved.task.run_id, moved.task.task_id, moved.task.epoch, ANYBODY) not in named
        ]
        unstarted = await self._attempts.unstarted([each.recorded.position for each in silent])
        stuck = [moved for moved in silent if moved.recorded.position in unstarted]
        # What waits behind other work is not stuck; if it gets lost there, that is seen elsewhere.
        empty = {
            kind for kind in {each.kind for each in stuck} if not await self._depths.waiting(kind)
        }
        again = [moved for moved in stuck if moved.kind in empty]
        if again:
            log.warning("leases.again", attempts=len(again))
            await self._relay.publish_work([moved.recorded for moved in again])
        self._moved = [moved for moved in self._moved if moved not in due] + [
            replace(moved, sent_at=now, tries=moved.tries + 1)
            for moved in again
            if moved.tries + 1 < _TRIES
        ]
