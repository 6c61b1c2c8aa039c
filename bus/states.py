"""The states that a recorder decides on, kept between its groups within bounds.

They are never the truth: whoever appends first is right. What leads to events is checked by the
versions of the append itself; what leads to none is checked by a look at the log.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

from bus.ports import Store
from domain.deciders import decider_of
from domain.errors import Refused, TaskloomError, Unavailable, UnreadableStream
from domain.policies import Event
from domain.recorded import Recorded

SNAPSHOT_EVERY: Final = 500
"""A stream is kept as a snapshot after so many events, or as many as its state has parts."""

MOST_PARTS: Final = 200_000
"""The tasks of all states that are remembered; more are loaded again when they are needed."""


@dataclass(slots=True)
class Known:
    """A stream as far as it is known."""

    state: Any
    version: int
    kept: int
    """The version of its latest snapshot."""

    @property
    def parts(self) -> int:
        """What it weighs in memory and in a snapshot: its tasks, and itself."""
        return 1 + len(getattr(self.state, "tasks", ()))


class States:
    """Loads states, remembers those used last, and keeps snapshots of them."""

    def __init__(
        self, store: Store, *, most_parts: int = MOST_PARTS, snapshot_every: int = SNAPSHOT_EVERY
    ) -> None:
        self._store = store
        self._most_parts = most_parts
        self._snapshot_every = snapshot_every
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._parts = 0
        self._keeping: set[asyncio.Task[None]] = set()

    def __getitem__(self, stream: str) -> Known:
        return self._known[stream]

    async def load(self, streams: Iterable[str]) -> tuple[set[str], dict[str, TaskloomError]]:
        """Have states at hand; return which had to be loaded, and why others cannot be.

        Raises:
            Unavailable: The store does not answer.
        """
        missing: list[str] = []
        for stream in dict.fromkeys(streams):
            if stream in self._known:
                self._known.move_to_end(stream)
            else:
                missing.append(stream)
        unreadable: dict[str, TaskloomError] = {}

        async def load(stream: str) -> None:
            try:
                state, version = await self._store.load(stream)
            except (Refused, UnreadableStream) as error:
                unreadable[stream] = error
            else:
                self._remember(stream, Known(state, version, version))

        await asyncio.gather(*map(load, missing))
        return set(missing) - unreadable.keys(), unreadable

    async def have_moved(self, streams: Iterable[str]) -> bool:
        """Catch up with streams that others have moved on, and tell whether there were any."""

        async def has_moved(stream: str) -> bool:
            try:
                tail = await self._store.read(stream, after=self._known[stream].version)
            except UnreadableStream:
                self.forget(stream)  # loading it again tells whom it concerns
                return True
            if tail:
                self.catch_up(stream, tail)
            return bool(tail)

        return any(await asyncio.gather(*map(has_moved, sorted(streams))))

    def catch_up(self, stream: str, tail: Sequence[Recorded[Event]]) -> None:
        """Follow a stream that others have moved on, by all events after what is known of it."""
        known = self._known[stream]
        state = reduce(decider_of(stream).evolve, (past.event for past in tail), known.state)
        self._remember(stream, Known(state, known.version + len(tail), known.kept))

    def forget(self, stream: str) -> None:
        """Drop a state that is not known to be true any more."""
        known = self._known.pop(stream, None)
        if known is not None:
            self._parts -= known.parts

    def forget_all(self) -> None:
        """Drop every state, and the snapshots that are on their way."""
        self.close()
        self._known.clear()
        self._parts = 0

    def learn(self, changed: Mapping[str, Known]) -> None:
        """Remember what a group has led to, keep snapshots, and drop what was used longest ago."""
        for stream, known in changed.items():
            self._remember(stream, known)
            # As many events as the state has parts: then a snapshot costs each event the same.
            if known.version - known.kept >= max(self._snapshot_every, known.parts - 1):
                known.kept = known.version
                task = asyncio.create_task(self._keep(stream, known.state, known.version))
                self._keeping.add(task)
                task.add_done_callback(self._keeping.discard)
        while self._parts > self._most_parts and len(self._known) > 1:
            self.forget(next(iter(self._known)))

    def close(self) -> None:
        """Give up the snapshots that are on their way."""
        for task in self._keeping:
            task.cancel()

    def _remember(self, stream: str, known: Known) -> None:
        self.forget(stream)
        self._known[stream] = known
        self._parts += known.parts

    async def _keep(self, stream: str, state: Any, version: int) -> None:
        # A snapshot is a cache: without it the stream is folded from further back.
        with suppress(Unavailable):
            await self._store.keep(stream, state, version)
