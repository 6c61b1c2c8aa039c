"""The hub: one reader of the log for a whole process, and what its readers have not been told yet.

It follows the log only while somebody watches. A reader that does not keep up loses what waits for
it, and hears the latest of everything instead: it costs nobody else anything.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
from psycopg import Error as DatabaseError
from psycopg_pool import PoolTimeout

from api.errors import TooManyReaders
from api.live.frames import AGENTS_TOPIC, Frame, of_agent, of_run, topic_of
from bus.ports import Log
from domain.agent import AgentStatus
from domain.errors import Unavailable, UnreadableStream
from domain.policies import Event
from domain.recorded import Recorded
from projections.agent_types import AgentTypes, Attempted

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 2_000
"""Events that may wait for one reader."""

MOST_SIGNALS: Final = 2_000
"""Signals that may wait for one reader, the latest of each."""

MOST_READERS: Final = 500
"""Readers of one process."""

EVERYTHING: Final = "*"
"""The topic of those who pick from all events themselves."""

_BATCH: Final = 500


class Ending(Exception):  # it is news, not a failure
    """The process ends; its readers go on elsewhere."""


class Watcher:
    """What waits for one reader."""

    def __init__(self) -> None:
        self.since = 0
        """The position up to which it knows everything, by the time it began to watch."""

        self._events: deque[Frame] = deque()
        self._signals: dict[str, Frame] = {}
        self._is_lost = False
        self._something = asyncio.Event()

    def push(self, frame: Frame) -> None:
        """Let an event wait; with too many waiting, nothing waits any more."""
        if len(self._events) >= MOST_WAITING:
            self._events.clear()
            self._signals.clear()
            self._is_lost = True
        if not self._is_lost:
            self._events.append(frame)
        self._something.set()

    def hint(self, frame: Frame) -> None:
        """Let a signal wait, in the place of an earlier one."""
        if frame.key in self._signals or len(self._signals) < MOST_SIGNALS:
            self._signals[frame.key] = frame
            self._something.set()

    def wake(self) -> None:
        """Let the reader look."""
        self._something.set()

    async def wait(self, seconds: float) -> None:
        """Return when something waits, or after that many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._something.wait()

    def take(self) -> Sequence[Frame] | None:
        """Return what waits; None where it became too much, and is gone."""
        self._something.clear()
        if self._is_lost:
            return None
        frames = [*self._events, *self._signals.values()]
        self._events.clear()
        self._signals.clear()
        return frames

    def begin_anew(self, position: int) -> None:
        """Forget that something is gone: everything up to a position will be found elsewhere."""
        self._is_lost = False
        self.since = position


class Hub:
    """Tells readers what is recorded, and what is signalled."""

    def __init__(
        self, *, events: Log, head: Callable[[], Awaitable[int]], types: AgentTypes
    ) -> None:
        self._log = events
        self._head = head
        self._types = types
        self._watchers: defaultdict[str, set[Watcher]] = defaultdict(set)
        self._readers = 0
        self._position: int | None = None
        self._wanted = asyncio.Event()
        self._standing = asyncio.Event()
        self.loads: dict[str, float] = {}
        """How busy agents are, by their last heartbeats."""

        self.healths: dict[str, str] = {}
        """How agents are, by the record."""

        self.is_ending = False

    @property
    def position(self) -> int:
        """Up to where everything has been told to whoever watches."""
        return self._position or 0

    @property
    def readers(self) -> int:
        """How many are told."""
        return self._readers

    def is_watched(self, topic: str) -> bool:
        """Say whether anybody wants to hear of something."""
        return topic in self._watchers

    @asynccontextmanager
    async def watching(self, topic: str) -> AsyncGenerator[Watcher]:
        """Let what concerns a topic wait for a reader, from now on.

        Raises:
            TooManyReaders: This process has no place for another one.
            Unavailable: The log does not say where it is.
        """
        if self._readers >= MOST_READERS:
            raise TooManyReaders(MOST_READERS)
        watcher = Watcher()
        self._readers += 1
        self._watchers[topic].add(watcher)
        try:
            await self._stand(watcher)
            yield watcher
        finally:
            self._readers -= 1
            self._watchers[topic].discard(watcher)
            if not self._watchers[topic]:
                del self._watchers[topic]

    def tell(self, topic: str, frame: Frame) -> None:
        """Tell a signal to whoever watches."""
        for watcher in self._watchers.get(topic, ()):
            watcher.hint(frame)

    def close(self) -> None:
        """Let every reader end."""
        self.is_ending = True
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.wake()

    async def run(self) -> None:
        """Follow the log until cancelled, whenever somebody watches."""
        while True:
            await self._wanted.wait()
            try:
                await self._follow()
            except (Unavailable, DatabaseError, PoolTimeout) as error:
                log.warning("live.waits", why=str(error))
                await asyncio.sleep(0.5)

    async def _stand(self, watcher: Watcher) -> None:
        self._wanted.set()
        try:
            async with asyncio.timeout(5):
                await self._standing.wait()
        except TimeoutError as error:
            raise Unavailable("the log does not say where it is; ask again") from error
        # What was pushed meanwhile comes after the place where the hub began, or stood.
        watcher.since = max(watcher.since, self.position)

    async def _follow(self) -> None:
        position = self._position if self._position is not None else await self._head()
        self._position = position
        self._standing.set()
        while self._readers:
            try:
                events = await self._log.read_all(after=position, limit=_BATCH)
            except UnreadableStream:
                events = await self._readable(position)
            if events:
                types = await self._types.of(events)
                position = events[-1].position
                self._distribute(events, types)
                self._position = position
            else:
                await self._log.wait(1.0)
        self._wanted.clear()
        self._standing.clear()
        self._position = None

    async def _readable(self, after: int) -> Sequence[Recorded[Event]]:
        """Return the events before one that this code cannot read, or those behind it."""
        while True:
            try:
                return await self._log.read_all(after=after, limit=1)
            except UnreadableStream as error:
                if error.position <= after:
                    raise
                log.warning("live.passes_over", position=error.position, why=str(error))
                after = error.position

    def _distribute(
        self, events: Sequence[Recorded[Event]], types: Mapping[Attempted, str]
    ) -> None:
        everything = self._watchers.get(EVERYTHING, ())
        for recorded in events:
            for watcher in everything:
                watcher.wake()
            if isinstance(recorded.event, AgentStatus):
                self.healths[recorded.event.agent_id] = recorded.event.health
            topic = topic_of(recorded)
            if topic is None or not (watchers := self._watchers.get(topic)):
                continue
            frame = self.frame_of(recorded, types)
            for watcher in watchers:
                watcher.push(frame)

    def frame_of(self, recorded: Recorded[Event], types: Mapping[Attempted, str]) -> Frame:
        """Return what readers are told of an event."""
        if topic_of(recorded) == AGENTS_TOPIC:
            agent_id = str(getattr(recorded.event, "agent_id", ""))
            return of_agent(recorded, self.loads.get(agent_id))
        task_id = str(getattr(recorded.event, "task_id", ""))
        return of_run(recorded, types.get((recorded.stream, task_id)))
