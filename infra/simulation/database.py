"""The simulated database: what is committed survives everything, what is not survives nothing."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bus.dead_letter_keeper import DeadLetter
from bus.ports import StreamMoved
from bus.signals import Heartbeat
from domain.errors import Unavailable
from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import RunCancelled, RunCompleted, RunFailed
from domain.steering import RunResumed, RunRolledBack
from infra.simulation.processes import Process
from infra.simulation.world import World
from projections.view import Key

_SOFT = 0.6
"""Seconds after which what was committed without waiting for the disk is there as well."""


class DatabaseDown(Unavailable):
    """The simulated database does not answer."""

    code = "database-unavailable"


@dataclass(slots=True)
class Lock:
    """Who keeps others from moving a view."""

    holder: Process
    is_aborted: bool = False


@dataclass(slots=True)
class Database:
    """Everything that is kept, and who is to be woken when it grows."""

    world: World
    events: list[Recorded[Event]] = field(default_factory=list[Recorded[Event]])
    places: list[int] = field(default_factory=list[int])
    """The positions of all events."""

    streams: dict[str, list[Recorded[Event]]] = field(
        default_factory=dict[str, list[Recorded[Event]]]
    )
    positions: dict[str, int] = field(default_factory=dict[str, int])
    snapshots: dict[str, tuple[Any, int]] = field(default_factory=dict[str, tuple[Any, int]])
    rows: dict[str, dict[Key, Any]] = field(default_factory=dict[str, dict[Key, Any]])
    """The rows of each view."""

    failures: dict[str, str] = field(default_factory=dict[str, str])
    """Why views have stopped."""

    presence: dict[str, Heartbeat] = field(default_factory=dict[str, Heartbeat])
    suspects: dict[str, int] = field(default_factory=dict[str, int])
    letters: list[DeadLetter] = field(default_factory=list[DeadLetter])
    locks: dict[str, Lock] = field(default_factory=dict[str, Lock])
    leader: Process | None = None
    is_down: bool = False
    ended: set[str] = field(default_factory=set[str])
    """The runs that are over."""

    wake: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    on_advance: Callable[[str, int, int], None] | None = None
    on_commit: Callable[[Event], None] | None = None
    _soft: list[tuple[float, Callable[[], None]]] = field(
        default_factory=list[tuple[float, Callable[[], None]]]
    )
    """How to take back what a crash of the database would lose."""

    @property
    def head(self) -> int:
        """The position of the last event, 0 when there is none."""
        return self.places[-1] if self.places else 0

    def append(self, events: Sequence[Recorded[Event]], by: str) -> Sequence[int]:
        """Commit events of any streams at once, and return their positions.

        Raises:
            StreamMoved: A version is taken already.
        """
        fresh: dict[str, int] = {}
        for event in events:
            known = fresh.get(event.stream)
            if known is None:
                known = len(self.streams.get(event.stream, ()))
            if event.version <= known:
                raise StreamMoved
            fresh[event.stream] = event.version
        positions = self.draw(len(events))
        self.commit(events, positions, by)
        return positions

    def draw(self, count: int) -> Sequence[int]:
        """Draw positions; now and then a transaction that failed has left a gap."""
        first = self.head + 1 + (self.world.lots.randrange(3) if self.world.chance(0.05) else 0)
        return range(first, first + count)

    def commit(self, events: Sequence[Recorded[Event]], positions: Sequence[int], by: str) -> None:
        """Make events last."""
        for event, position in zip(events, positions, strict=True):
            stored = replace(event, position=position)
            at = bisect_right(self.places, position)
            self.places.insert(at, position)
            self.events.insert(at, stored)
            self.streams.setdefault(event.stream, []).append(stored)
            if self.on_commit is not None:
                self.on_commit(event.event)
            if isinstance(event.event, RunCompleted | RunFailed | RunCancelled):
                self.ended.add(event.stream)
            elif isinstance(event.event, RunResumed | RunRolledBack):
                self.ended.discard(event.stream)
            self.world.note(
                "append", by, position, event.stream, event.version, event.type, event.id
            )
        self._soft.clear()  # a commit that waits for the disk takes all before it along
        for wake in self.wake:
            if not self.world.chance(self.world.troubles.lost_wake_up):
                self.world.later(self.world.latency(), wake)

    def after(self, position: int, limit: int) -> Sequence[Recorded[Event]]:
        """Return the next events after a position."""
        at = bisect_right(self.places, position)
        return self.events[at : at + limit]

    def advance(
        self, changes: Mapping[str, int], *, undo: Callable[[], None] | None = None
    ) -> None:
        """Commit positions without waiting for the disk."""
        before = {follower: self.positions.get(follower, 0) for follower in changes}
        for follower, position in changes.items():
            if self.on_advance is not None:
                self.on_advance(follower, before[follower], position)
            self.positions[follower] = position
            self.world.note("advance", follower, position)

        def take_back() -> None:
            self.positions.update(before)
            if undo is not None:
                undo()

        self._soft.append((self.world.now, take_back))

    def crash(self) -> None:
        """Lose what was committed last without waiting for the disk."""
        for at, take_back in reversed(self._soft):
            if self.world.now - at < _SOFT:
                take_back()
        self._soft.clear()
        self.locks.clear()
        self.leader = None
        self.world.note("database.crash")
