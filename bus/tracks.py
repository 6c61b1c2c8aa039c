"""What is remembered of one agent's heartbeats: enough to judge it by what it did lately."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from bus.signals import Heartbeat
from domain.health import Limits, Observed
from domain.values import AgentType, Role

_STEPS: Final = 12
"""How many samples a window has: so many of its twelfths are remembered, and no more."""

_LEAST_BEATS: Final = 8
"""How many heartbeats must have been due before those that are missed say anything."""

Kind = tuple[Role, AgentType]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """How far an agent's counters were."""

    at: datetime
    beats: int
    ended: int
    faults: int
    busy_seconds: float | None


@dataclass(slots=True, kw_only=True)
class Track:
    """One start of an agent, as it was heard."""

    at: datetime
    """When it was heard last."""

    last: Heartbeat
    beats: int = 1
    samples: deque[_Sample] = field(default_factory=lambda: deque[_Sample](maxlen=_STEPS + 1))

    def __post_init__(self) -> None:
        self.samples.append(self._sample())

    @property
    def kind(self) -> Kind:
        """Whom it is compared with."""
        return (self.last.role, self.last.agent_type)

    def hear(self, heartbeat: Heartbeat, now: datetime, *, lease: timedelta, window: float) -> None:
        """Take note of a heartbeat; after a long silence it is another beginning."""
        if now - self.at > lease:
            self.samples.clear()
        self.at, self.last = now, heartbeat
        self.beats += 1
        step = timedelta(seconds=window / _STEPS)
        if not self.samples or now - self.samples[-1].at >= step:
            self.samples.append(self._sample())

    def begin_anew(self, now: datetime) -> None:
        """Forget what was missed while nobody could hear it."""
        self.at = now
        self.samples.clear()
        self.samples.append(self._sample())

    def observed(self, now: datetime, *, limits: Limits, usual_seconds: float | None) -> Observed:
        """Return what was seen of it within the window."""
        first, last = self._since(now, limits.window), self._sample()
        attempts = last.ended - first.ended
        return Observed(
            silence=now - self.at,
            missed=self._missed(first, now),
            attempts=max(attempts, 0),
            faults=max(last.faults - first.faults, 0),
            seconds=self.seconds(now, limits=limits),
            usual_seconds=usual_seconds,
            cpu=self.last.cpu,
            memory_bytes=self.last.memory_bytes,
            load=self.last.load,
            lacking=[one.name for one in self.last.dependencies],
        )

    def seconds(self, now: datetime, *, limits: Limits) -> float | None:
        """Return how long its attempts took on average, where enough of them have ended."""
        first, last = self._since(now, limits.window), self._sample()
        attempts = last.ended - first.ended
        if first.busy_seconds is None or last.busy_seconds is None:
            return None
        if attempts < limits.least_attempts:
            return None
        return max(last.busy_seconds - first.busy_seconds, 0.0) / attempts

    def _missed(self, first: _Sample, now: datetime) -> float | None:
        if self.last.interval is None:
            return None
        due = (now - first.at).total_seconds() / self.last.interval
        if due < _LEAST_BEATS:
            return None
        return max(1 - (self.beats - first.beats + 1) / due, 0.0)

    def _since(self, now: datetime, window: float) -> _Sample:
        """Return the oldest sample of the window."""
        begin = now - timedelta(seconds=window)
        return next((one for one in self.samples if one.at >= begin), self._sample())

    def _sample(self) -> _Sample:
        said = self.last
        return _Sample(
            at=self.at,
            beats=self.beats,
            ended=said.completed + said.failed,
            faults=said.failed if said.faults is None else said.faults,
            busy_seconds=said.busy_seconds,
        )


def usual_seconds(
    tracks: Iterable[Track], now: datetime, *, limits: Limits
) -> Mapping[Kind, float]:
    """Return the median duration of an attempt, for each type that enough agents work for."""
    known: dict[Kind, list[float]] = {}
    for track in tracks:
        seconds = track.seconds(now, limits=limits)
        if seconds is not None:
            known.setdefault(track.kind, []).append(seconds)
    return {
        kind: median(durations)
        for kind, durations in known.items()
        if len(durations) >= limits.least_peers
    }
