"""Follows the log and keeps views up to date: rows and position in one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

import structlog

from bus.failpoints import reach
from bus.ports import Log
from domain.errors import Unavailable, UnreadableStream
from domain.policies import Event
from domain.recorded import Recorded
from projections.ports import ViewStore
from projections.view import AnyView

log = structlog.get_logger(__name__)

T = TypeVar("T")

BATCH = 500
IDLE = 1.0
"""Seconds after which the log is asked even when nobody has said that it has grown."""


class Overtaken(Exception):
    """Another runner has moved a view that this one was about to move."""


@dataclass(slots=True, kw_only=True)
class Followed:
    """A view as this runner follows it."""

    view: AnyView
    position: int = 0
    has_stopped: bool = False


class Runner:
    """Keeps views up to date.

    Two runners of the same views are safe: whoever locks the positions first folds, the other one
    finds them moved. A view that cannot fold an event stops there and says so; the others go on.
    """

    def __init__(
        self,
        *,
        views: Sequence[AnyView],
        log: Log,
        store: ViewStore,
        pace: float = 0.0,
    ) -> None:
        """Take views; ``pace`` is the seconds it rests after a batch that was not full.

        A rest makes batches larger, and what comes and goes within one costs nothing.
        """
        self._pace = pace
        self._log = log
        self._store = store
        self._is_blind = False
        self.followed = [Followed(view=view) for view in views]

    async def run(self) -> None:
        """Follow the log until cancelled."""
        await self._outlast(self.prepare)
        while True:
            read = await self._outlast(self.step)
            if not read:
                await self._outlast(self._wait)
            elif read < BATCH:
                await asyncio.sleep(self._pace)

    async def prepare(self) -> None:
        """Create the views' tables where they are missing, and try again what had stopped."""
        await self._store.prepare([followed.view for followed in self.followed])
        for followed in self.followed:
            followed.has_stopped = False
        await self._reload(self.followed)

    async def step(self) -> int:
        """Fold one batch of the log into every view; return how many events were read."""
        going = sorted(
            (followed for followed in self.followed if not followed.has_stopped),
            key=lambda followed: followed.position,
        )
        # Views that stand at the same place go together; one that lags does not hold them up.
        groups = [list(group) for _, group in groupby(going, key=lambda one: one.position)]
        read = 0
        for group in groups:
            events = await self._read(group)
            if events:
                read += len(events)
                await self._advance(group, events)
        return read

    async def catch_up(self) -> int:
        """Fold until the log has nothing more; return how many events were read."""
        total = 0
        while read := await self.step():
            total += read
        return total

    async def _read(self, group: Sequence[Followed]) -> Sequence[Recorded[Event]]:
        """Return the next events; before one that cannot be read, all that come first.

        Raises:
            UnreadableStream: The next one cannot be read. A newer version may have written it.
        """
        after, limit = group[0].position, BATCH
        while True:
            try:
                events = await self._log.read_all(after=after, limit=limit)
            except UnreadableStream as error:
                if limit > 1:
                    limit //= 2
                    continue
                await self._report(group, position=after + 1, type_="unreadable", error=error)
                self._is_blind = True
                raise
            if events and self._is_blind:
                await self._store.forgive([followed.view for followed in group])
                self._is_blind = False
            return events

    async def _report(
        self, group: Sequence[Followed], *, position: int, type_: str, error: Exception
    ) -> None:
        reason = f"{type(error).__name__}: {error}"[:2_000]
        views = [followed.view for followed in group]
        await self._store.report_failure(views, position=position, type_=type_, error=reason)

    async def _wait(self) -> None:
        if all(followed.has_stopped for followed in self.followed):
            await asyncio.sleep(IDLE)  # nobody reads the log: its wake-up would stay for ever
        else:
            await self._log.wait(IDLE)

    async def _outlast(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do some work, again and again while the world is at fault."""
        pause = 0.1
        while True:
            try:
                return await work()
            except Unavailable as error:
                log.warning("views.wait", seconds=pause, why=str(error))
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2.0)

    async def _advance(self, group: Sequence[Followed], events: Sequence[Recorded[Event]]) -> None:
        try:
            await self._commit(group, events)
        except Overtaken:
            await self._reload(group)
        except Unavailable:
            raise
        except Exception as error:
            # Whatever a fold or a row makes go wrong: find which view it is, then which event.
            if len(group) > 1:
                for followed in group:
                    await self._advance([followed], events)
            elif len(events) > 1:
                await self._advance(group, events[: len(events) // 2])
                rest = [after for after in events if after.position > group[0].position]
                if not group[0].has_stopped and rest:
                    await self._advance(group, rest)
            else:
                await self._stop(group[0], events[0], error)

    async def _commit(self, group: Sequence[Followed], events: Sequence[Recorded[Event]]) -> None:
        views = [followed.view for followed in group]
        last = events[-1].position
        async with self._store.turn(views) as turn:
            if any(turn.positions.get(one.view.follower) != one.position for one in group):
                raise Overtaken
            for view in views:
                await turn.fold(view, events)
            await turn.advance(views, to=last)
            reach("view.before_commit")
        reach("view.after_commit")
        for followed in group:
            followed.position = last

    async def _stop(self, stopped: Followed, recorded: Recorded[Event], error: Exception) -> None:
        stopped.has_stopped = True
        log.error(
            "view.stopped",
            view=stopped.view.name,
            position=recorded.position,
            type=recorded.type,
            exc_info=error,
        )
        await self._report([stopped], position=recorded.position, type_=recorded.type, error=error)

    async def _reload(self, group: Sequence[Followed]) -> None:
        positions = await self._store.positions([one.view for one in group])
        for followed in group:
            followed.position = positions[followed.view.follower]
