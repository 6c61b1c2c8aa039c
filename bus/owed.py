"""Owed work: what is in no queue and in nobody's hands is sent again, all of it, from the log.

Nobody is told when a queue is emptied or deleted. It shows all the same: the queue is empty
although work that was put into it has not begun, or it holds fewer messages than there is such
work. Whatever was due before that moment is then sent again, except what agents name.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final, Protocol

import structlog

from bus.breakers import DETOUR
from bus.looking import look_again
from bus.ports import Clock
from bus.relay import Relay
from domain.leases import Attempt, DelayedKind, Sightings, WorkKind, is_owed
from domain.policies import Event
from domain.recorded import Recorded
from domain.tasks import DELAYS
from domain.values import AgentType, Role

log = structlog.get_logger(__name__)

PACE: Final = 1.0
"""Seconds between two looks."""

REFUSED_PAUSE: Final = timedelta(seconds=5)
"""How long work is let alone that the broker does not take: a queue may not be there for days."""

_IN_HAND: Final = 100
"""Messages that one consumer may have in hand, at the very most, before it names them."""

_MARGIN: Final = timedelta(seconds=0.5)
"""What waits for less than this may be about to leave its retry queue."""

_DETOUR: Final = timedelta(seconds=DETOUR)
_EVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What a queue holds for agents."""

    ready: int
    """Messages that no consumer has in hand."""

    consumers: int
    is_there: bool = True
    """Whether there is such a queue at all."""


class Waiting(Protocol):
    """The attempts that no agent has started, as far as the log has been followed."""

    async def recorded(self) -> int:
        """Return the position of the last event."""
        ...

    async def followed(self) -> int:
        """Return the position up to which the log has been followed."""
        ...

    async def published(self) -> int:
        """Return the position up to which the log has been published."""
        ...

    async def late(self, *, before: datetime, published: int) -> Mapping[WorkKind, int]:
        """Return how many attempts of each kind were due before a time, and published."""
        ...

    async def waiting(
        self, kind: WorkKind, *, after: datetime, before: datetime, beyond: int, published: int
    ) -> Sequence[Attempt]:
        """Return the next of a kind that were due between two times, beyond a position."""
        ...

    async def delayed(
        self, *, after: datetime, beyond: int, published: int
    ) -> Mapping[DelayedKind, int]:
        """Return how many attempts are due only after a time, by their delay and kind of agents."""
        ...

    async def waiting_for(
        self, delay: int, *, after: datetime, beyond: int, published: int
    ) -> Sequence[Attempt]:
        """Return the next with a delay that are due only after a time, beyond a position."""
        ...

    async def work_of(self, attempts: Sequence[Attempt]) -> Sequence[Recorded[Event]]:
        """Return the events that dispatched attempts."""
        ...


class Depths(Protocol):
    """How many messages wait on the broker."""

    async def reports(self) -> int:
        """Return how many reports wait to be recorded."""
        ...

    async def work(self, kind: WorkKind) -> Depth:
        """Return what the queue of a kind of work holds."""
        ...

    async def retry(self, delay: int) -> int:
        """Return how many tasks wait in the retry queue of a delay."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """When it was looked, and how far everything was at that moment."""

    at: datetime
    recorded: int
    published: int


@dataclass(slots=True, kw_only=True)
class _Passage:
    """One passage through the late work of a kind; what interrupts it does not begin it anew."""

    after: datetime
    before: datetime
    beyond: int = 0


@dataclass(slots=True)
class _Line:
    """One kind of work, as far as its queue has been looked at."""

    most: int | None = None
    """How many messages were in the queue or in agents' hands at the last look, at most.

    None where that says nothing, because some of what was missing is still to be sent."""

    gap: datetime | None = None
    """When the queue was last seen to lack what was due by then."""

    looked_through: datetime = _EVER
    """Before which due time that has been seen to."""

    passage: _Passage | None = None
    sent_through: datetime = _EVER
    """Before which due time work was sent again, ever."""

    sent_at: datetime = _EVER
    refused_at: datetime = _EVER
    """When the broker last did not take what was sent again."""

    @property
    def is_pending(self) -> bool:
        """Whether some of what the queue was seen without is still to be seen to."""
        return self.gap is not None and self.looked_through < self.gap


def _never(_: Role, __: AgentType) -> bool:
    return False


class OwedWork:
    """Looks for work that has got lost on its way, and sends it again."""

    def __init__(
        self,
        *,
        attempts: Waiting,
        depths: Depths,
        relay: Relay,
        clock: Clock,
        sightings: Callable[[], Sightings],
        patience: timedelta,
        holds_back: Callable[[Role, AgentType], bool] = _never,
    ) -> None:
        """Take where to look; ``patience`` is how long work may be out of everybody's sight.

        What a breaker holds back is on a detour, and due so much later than the record says.
        """
        self._attempts = attempts
        self._depths = depths
        self._relay = relay
        self._clock = clock
        self._sightings = sightings
        self._patience = patience
        self._holds_back = holds_back
        self._lines: dict[WorkKind, _Line] = {}
        self._last = _Look(at=clock.now(), recorded=0, published=0)
        self._retried = 0
        """Up to which position what the retry queues had lost was sent again."""

    async def run(self) -> None:
        """Look again and again until cancelled."""
        await look_again(self.look, every=PACE, who="owed")

    async def look(self) -> None:
        """Look once, and send again what is owed.

        What a queue was seen to lack is sent at the next look: had an agent taken it just before,
        its heartbeat or the record would show it by then.
        """
        now, last = self._clock.now(), self._last
        self._last = _Look(
            at=now,
            recorded=await self._attempts.recorded(),
            published=await self._attempts.published(),
        )
        if await self._depths.reports() or await self._attempts.followed() < last.recorded:
            return  # what seems to wait may have begun: the news of it is under way
        await self._look_at_retries(now, last.published)
        before = min(now - self._patience, last.at)
        late = dict(await self._attempts.late(before=before, published=last.published))
        earlier = before - _DETOUR
        held = {kind for kind in late if self._holds_back(*kind[:2])}
        if held:
            counts = await self._attempts.late(before=earlier, published=last.published)
            late |= {kind: counts.get(kind, 0) for kind in held}
        self._lines = {kind: self._lines.get(kind) or _Line() for kind in late}
        for kind, count in late.items():
            line = self._lines[kind]
            lacks = line.most is not None and count > line.most
            due_before = earlier if kind in held else before
            await self._see_to(kind, line, due_before, last.published)
            depth = await self._depths.work(kind)
            was_left = depth.is_there and self._relay.take_left(kind)
            if lacks or was_left or not depth.ready:
                line.gap, line.looked_through, line.passage = now, _EVER, None
            line.most = None if line.is_pending else depth.ready + depth.consumers * _IN_HAND

    async def _see_to(self, kind: WorkKind, line: _Line, before: datetime, published: int) -> None:
        """Send again what the queue of a kind was seen to lack."""
        if self._clock.now() - line.refused_at < REFUSED_PAUSE:
            return
        if line.passage is None:
            if line.gap is None or min(line.gap, before) <= line.looked_through:
                return
            line.passage = _Passage(after=line.looked_through, before=min(line.gap, before))
        passage = line.passage
        count = 0
        while page := await self._attempts.waiting(
            kind,
            after=passage.after,
            before=passage.before,
            beyond=passage.beyond,
            published=published,
        ):
            owed = [attempt for attempt in page if self._is_owed(attempt, line)]
            if not await self._relay.publish_work(await self._attempts.work_of(owed)):
                # It takes no more, or is not there: it is tried again from here, and not at once.
                line.refused_at = self._clock.now()
                return
            count += len(owed)
            passage.beyond = page[-1].position
        line.looked_through, line.passage = passage.before, None
        if count:
            log.warning("leases.owed", attempts=count, kind=".".join(kind))
            line.sent_through, line.sent_at = passage.before, self._clock.now()

    def _is_owed(self, attempt: Attempt, line: _Line) -> bool:
        now = self._clock.now()
        is_held = self._holds_back(attempt.role, attempt.agent_type)
        pause = self._patience + (_DETOUR if is_held else timedelta(0))
        is_sent_again = attempt.due < line.sent_through and now - line.sent_at <= pause
        return not is_sent_again and is_owed(
            attempt, self._sightings(), now, patience=self._patience
        )

    async def _look_at_retries(self, now: datetime, published: int) -> None:
        """Send again what retry queues have lost, to wait for the rest of its delay.

        Nobody takes anything from them: all that is not due yet has to be there.
        """
        after = now + _MARGIN
        counts = await self._attempts.delayed(
            after=after, beyond=self._retried, published=published
        )
        waiting: Counter[int] = Counter()
        for (delay, role, agent_type), count in counts.items():
            if not self._relay.is_lacking(role, agent_type):  # the relay does not put that there
                waiting[delay] += count
        lacking = [
            delay
            for delay, count in waiting.items()
            if await self._depths.retry(delay) < count and self._clock.now() < after
        ]
        for delay in lacking:
            beyond, count = self._retried, 0
            while page := await self._attempts.waiting_for(
                delay, after=after, beyond=beyond, published=published
            ):
                await self._send_to_wait(
                    [each for each in page if not self._relay.is_lacking(*each.kind[:2])]
                )
                beyond, count = page[-1].position, count + len(page)
            log.warning("leases.owed", attempts=count, delay=delay)
        if lacking:
            self._retried = published

    async def _send_to_wait(self, page: Sequence[Attempt]) -> None:
        now = self._clock.now()

        def rest(attempt: Attempt) -> int:
            left = (attempt.due - now).total_seconds()
            return max((delay for delay in DELAYS if delay <= left), default=0)

        for delay, attempts in groupby(sorted(page, key=rest), key=rest):
            await self._relay.publish_work(
                await self._attempts.work_of(list(attempts)), delay=delay
            )
