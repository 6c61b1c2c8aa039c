"""Brings events to those who subscribe to them: each at its own pace, in order, at least once.

Every subscription follows the log by a position of its own. One that cannot be reached waits and
tries again, without holding up others, and is given up when that has lasted for long.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final, Protocol

import structlog

from bus.ports import Clock, Log
from bus.recorder import Recorder
from bus.subscriptions import DISABLED, OwnerOf, Subscription, Subscriptions, may_hear
from bus.telling import saying, tell
from bus.together import end
from bus.webhooks import Gone, NotBrought
from domain.errors import Unavailable, UnreadableStream
from domain.messages import MessagePublished, message_stream
from domain.policies import Event
from domain.recorded import Recorded, derived_id

log = structlog.get_logger(__name__)

ACTOR: Final = "taskloom.subscriptions"
BATCH: Final = 100
LOOK_AGAIN: Final = 1.0
"""Seconds between two looks at which subscriptions there are."""

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 300.0

Types = Callable[[Sequence[Recorded[Event]]], Awaitable[Mapping[tuple[str, str], str]]]
"""Tells the types of the agents that hold the tasks events speak of."""


class Carrier(Protocol):
    """A way to a subscriber."""

    async def bring(self, subscription: Subscription, events: Sequence[Recorded[Event]]) -> int:
        """Bring events in their order, and return how many have been taken, from the first.

        Raises:
            NotBrought: None was.
            Gone: None ever will be.
        """
        ...

    async def close(self, subscription: Subscription) -> None:
        """Leave nothing behind of a subscription that is over."""
        ...


class Delivering:
    """Brings events to all subscriptions that are active."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        carriers: Mapping[str, Carrier],
        recorder: Recorder,
        clock: Clock,
        *,
        new_log: Callable[[], Log],
        types: Types,
        owner_of: OwnerOf,
        give_up: timedelta = timedelta(days=1),
    ) -> None:
        self._subscriptions = subscriptions
        self._carriers = carriers
        self._recorder = recorder
        self._clock = clock
        self._new_log = new_log
        self._types = types
        self._owner_of = owner_of
        self._give_up = give_up
        self._bringing: dict[str, tuple[Subscription, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Bring until cancelled."""
        try:
            while True:
                try:
                    await self._look_after()
                except Unavailable as error:
                    log.warning("subscriptions.wait", why=str(error))
                await asyncio.sleep(LOOK_AGAIN)
        finally:
            await end([task for _, task in self._bringing.values()])

    async def _look_after(self) -> None:
        """Begin with those that are new, and end with those that are over."""
        there = {
            each.subscription_id: each
            for each in await self._subscriptions.all()
            if each.delivery in self._carriers and each.state == "active"
        }
        for name in self._bringing.keys() - there.keys():
            subscription, task = self._bringing.pop(name)
            await end([task])
            await self._carriers[subscription.delivery].close(subscription)
        for name, subscription in there.items():
            if name in self._bringing and not self._bringing[name][1].done():
                continue
            task = asyncio.create_task(self._bring(subscription), name=name)
            self._bringing[name] = subscription, task

    async def _bring(self, subscription: Subscription) -> None:
        name = subscription.subscription_id
        try:
            try:
                await self._follow_well(subscription)
            except Gone as error:
                await self._disable(subscription, str(error))
        except Unavailable as error:
            log.warning("subscription.waits", name=name, why=str(error))

    async def _follow_well(self, subscription: Subscription) -> None:
        """Follow the log; what nobody foresaw is a failure like others, and holds up nobody else.

        Afterwards whoever looks after it begins again, from where it is.

        Raises:
            Gone: It is over, or failed for too long.
            Unavailable: The log cannot be read.
        """
        try:
            await self._follow(subscription)
        except (Gone, Unavailable):
            raise
        except Exception as error:
            log.exception("subscription.fails", name=subscription.subscription_id)
            why = f"it makes us fail with {type(error).__name__}: tell the operators"
            await asyncio.sleep(await self._fail(subscription, why))

    async def _follow(self, subscription: Subscription) -> None:
        followed = self._new_log()
        position = kept = subscription.position
        while True:
            events = await _next(followed, position)
            if not events:
                if position > kept:
                    await self._advance(subscription, position, 0)
                    kept = position
                await followed.wait(1.0)
                continue
            wanted = await self._wanted(subscription, events)
            while wanted:
                taken = await self._insist(subscription, wanted)
                kept = wanted[taken - 1].position
                await self._advance(subscription, kept, taken)
                wanted = wanted[taken:]
            position = events[-1].position

    async def _advance(self, subscription: Subscription, position: int, delivered: int) -> None:
        await self._subscriptions.advance(
            subscription.subscription_id, position, delivered=delivered
        )

    async def _wanted(
        self, subscription: Subscription, events: Sequence[Recorded[Event]]
    ) -> Sequence[Recorded[Event]]:
        types = await self._types(events)
        wanted: list[Recorded[Event]] = []
        for recorded in events:
            task = recorded.stream, str(getattr(recorded.event, "task_id", ""))
            if subscription.matches(recorded, types.get(task)) and await may_hear(
                subscription, recorded, self._owner_of
            ):
                wanted.append(recorded)
        return wanted

    async def _insist(self, subscription: Subscription, events: Sequence[Recorded[Event]]) -> int:
        """Bring events until some are taken, and return how many.

        Raises:
            Gone: They never will be, or were not for too long.
        """
        while True:
            try:
                return await self._carriers[subscription.delivery].bring(subscription, events)
            except (NotBrought, Unavailable) as error:
                why = str(error)
            await asyncio.sleep(await self._fail(subscription, why))

    async def _fail(self, subscription: Subscription, why: str) -> float:
        """Remember a failure, and return the seconds until the next attempt.

        Raises:
            Gone: There is none: it was taken back, or has failed for too long.
        """
        now = self._clock.now()
        stands = await self._subscriptions.fail(subscription.subscription_id, why, at=now)
        if stands is None or stands.failing_since is None:
            raise Gone("it was taken back")
        if now - stands.failing_since > self._give_up:
            raise Gone(f"nothing was taken for {self._give_up}: {why}")
        pause = min(_FIRST_PAUSE * 2.0 ** min(stands.failures - 1, 20), _LONGEST_PAUSE)
        return pause * random.uniform(0.75, 1.25)  # noqa: S311 # it only spreads

    async def _disable(self, subscription: Subscription, why: str) -> None:
        """Give a subscription up, and say so in the record."""
        name = subscription.subscription_id
        log.warning("subscription.disabled", name=name, why=why)
        if await self._subscriptions.find(name) is None:
            return
        message_id = derived_id(name, DISABLED)
        body = MessagePublished(
            message_id=message_id,
            topic=DISABLED,
            payload={
                "subscription_id": name,
                "agent_id": subscription.agent_id,
                "reason": why[:1_000],
            },
        )
        now = self._clock.now()
        report = saying(body, message_stream(message_id), purpose=DISABLED, now=now, actor=ACTOR)
        await tell(self._recorder, [report])
        await self._subscriptions.disable(name, why)


async def _next(followed: Log, after: int) -> Sequence[Recorded[Event]]:
    """Return the next events, and pass over those that this code cannot read."""
    limit = BATCH
    while True:
        try:
            return await followed.read_all(after=after, limit=limit)
        except UnreadableStream as error:
            if limit > 1:
                limit = 1
            elif error.position > after:
                log.warning("subscription.passes_over", position=error.position, why=str(error))
                after = error.position
            else:
                raise
