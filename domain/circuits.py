"""A circuit: it opens when what it guards fails too often, and closes when a probe succeeds.

    closed ──► open ──► half open ──► closed
                 ▲          │
                 └──────────┘

While it is open, what it guards is left alone. After a cool-down, which doubles each time, one
probe at a time shows how things are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.values import Value

CircuitState = Literal["closed", "open", "half_open"]

_PARTS: Final = 10
"""How many parts a window is counted in: it slides by one at a time."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_REASON: Final = 1_000

Positive = Annotated[float, Field(gt=0)]


class Fuse(Value):
    """When a circuit opens, and for how long. Seconds, unless something else is said."""

    window: Positive = 30.0
    """How far back failures count."""

    least_failures: Annotated[int, Field(ge=1)] = 10
    """How many there must be in the window."""

    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """How large a share of all attempts in the window they must be."""

    cool_down: Positive = 16.0
    """How long it is open for the first time; each time in a row twice as long."""

    longest: Positive = 300.0
    """How long it is open at most, and how long it must be closed to begin with the first time."""


@dataclass(frozen=True, slots=True)
class Count:
    """What ended in one part of the window."""

    part: int
    ended: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """A circuit as it is; a new one is closed."""

    state: CircuitState = "closed"
    reason: str = ""
    """Why it is open."""

    trips: int = 0
    """How often in a row it has opened."""

    until: datetime | None = None
    """When it half-opens."""

    closed_at: datetime | None = None
    probed_at: datetime | None = None
    """When a probe was let through whose outcome is not known yet."""

    counts: Sequence[Count] = ()

    @property
    def ended(self) -> int:
        """How many attempts ended in the window, as it was last counted."""
        return sum(count.ended for count in self.counts)

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return sum(count.failed for count in self.counts)


def succeeded(circuit: Circuit, now: datetime, *, fuse: Fuse) -> Circuit:
    """Return the circuit after an attempt that succeeded."""
    if circuit.state == "closed":
        return replace(circuit, counts=_counted(circuit.counts, now, 0, fuse))
    if circuit.state == "half_open":
        return Circuit(trips=circuit.trips, closed_at=now)
    return circuit


def failed(circuit: Circuit, now: datetime, *, fuse: Fuse, why: str) -> Circuit:
    """Return the circuit after an attempt that failed."""
    if circuit.state == "open":
        return circuit
    if circuit.state == "half_open":
        return _opened(circuit, now, fuse, f"the probe failed: {why}")
    counted = replace(circuit, counts=_counted(circuit.counts, now, 1, fuse))
    if counted.failed < fuse.least_failures or counted.failed < fuse.share * counted.ended:
        return counted
    words = f"{counted.failed} of {counted.ended} attempts failed within {fuse.window:g} s"
    return _opened(counted, now, fuse, f"{words}; the last: {why}")


def cooled(circuit: Circuit, now: datetime) -> Circuit:
    """Return the circuit half open where its cool-down is over, else as it is."""
    if circuit.state != "open" or circuit.until is None or now < circuit.until:
        return circuit
    return replace(circuit, state="half_open", until=None, probed_at=None)


def let_through(circuit: Circuit, now: datetime, *, fuse: Fuse) -> Circuit | None:
    """Return the circuit after another attempt was let through; None where none may be.

    A probe that nobody has heard of for a cool-down does not keep the next one from trying.
    """
    circuit = cooled(circuit, now)
    if circuit.state == "closed":
        return circuit
    if circuit.state == "open":
        return None
    if circuit.probed_at and now - circuit.probed_at < timedelta(seconds=fuse.cool_down):
        return None
    return replace(circuit, probed_at=now)


def _opened(circuit: Circuit, now: datetime, fuse: Fuse, reason: str) -> Circuit:
    calm = timedelta(seconds=fuse.longest)
    is_calm = circuit.state == "closed" and not (
        circuit.closed_at and now - circuit.closed_at < calm
    )
    trips = 1 if is_calm else circuit.trips + 1
    pause = min(fuse.cool_down * 2 ** min(trips - 1, 30), fuse.longest)
    return Circuit(
        state="open",
        reason=reason[:_LONGEST_REASON],
        trips=trips,
        until=now + timedelta(seconds=pause),
        counts=circuit.counts,
    )


def _counted(
    counts: Sequence[Count], now: datetime, failures: int, fuse: Fuse
) -> tuple[Count, ...]:
    part = int((now - _EPOCH) / timedelta(seconds=fuse.window / _PARTS))
    recent = tuple(count for count in counts if part - _PARTS < count.part)
    if recent and recent[-1].part >= part:  # a clock that was set back counts where it was
        last = recent[-1]
        return (*recent[:-1], Count(last.part, last.ended + 1, last.failed + failures))
    return (*recent, Count(part, 1, failures))
