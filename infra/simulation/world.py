"""The world of one seed: its time, its chances, its trace."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from infra.simulation.loop import SimulatedLoop
from infra.simulation.trace import Trace

BEGINNING: Final = datetime(2026, 1, 20, 12, tzinfo=UTC)
"""When every simulated world begins."""

MOST_STEPS: Final = 40_000


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken."""

    invariant: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.what}"


@dataclass(slots=True, kw_only=True)
class Troubles:
    """How often each small thing goes wrong, as chances; all are 0 when the world has healed."""

    lost_commit: float = 0.0
    """An append is made, and its answer is lost."""

    failed_commit: float = 0.0
    lost_message: float = 0.0
    lost_confirm: float = 0.0
    nacked: float = 0.0
    doubled: float = 0.0
    overtaken: float = 0.0
    """A message arrives before those that were sent before it."""

    lost_signal: float = 0.0
    lost_wake_up: float = 0.1


@dataclass(slots=True)
class World:
    """Everything that is the same for all who live in it."""

    seed: int
    trace: Trace
    loop: SimulatedLoop
    lots: Random
    """What the network, the database and the broker draw from."""

    troubles: Troubles = field(default_factory=Troubles)
    violations: list[Violation] = field(default_factory=list[Violation])
    numbers: int = 0

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self.loop.time()

    def note(self, *words: object) -> None:
        """Write down that something happened."""
        self.trace.write(self.loop.time(), *words)

    def violate(self, invariant: str, what: str) -> None:
        """Take down a broken promise."""
        self.note("VIOLATION", invariant, what)
        self.violations.append(Violation(invariant, what))

    def is_well_until(self, time: float) -> bool:
        """Tell whether the time has not come yet, and no promise was broken."""
        return self.now < time and not self.violations

    def chance(self, share: float) -> bool:
        """Draw whether something happens."""
        return share > 0 and self.lots.random() < share

    def later(self, delay: float, callback: Callable[..., object], *args: Any) -> None:
        """Have the world itself do something after some seconds: no process can prevent it."""
        self.loop.happen(delay, callback, *args)

    def latency(self, mean: float = 0.004) -> float:
        """Draw how long something takes on its way."""
        return self.lots.expovariate(1 / mean)

    async def pass_time(self) -> None:
        """Let a call to a server take its time: most are quick, some are not."""
        share = self.lots.random()
        if share > 0.7:
            await asyncio.sleep(self.latency())
        elif share > 0.35:
            await asyncio.sleep(0)

    def new_id(self) -> str:
        """Return an id that nobody else has."""
        self.numbers += 1
        return f"id-{self.seed}-{self.numbers}"


def new_world(seed: int, *, is_kept: bool = False, most_steps: int = MOST_STEPS) -> World:
    """Return the world of a seed, before anything has happened in it."""
    loop = SimulatedLoop(drawn(seed, "order"), most_steps=most_steps)
    return World(seed, Trace(is_kept=is_kept), loop, drawn(seed, "world"))


def drawn(seed: int, purpose: str) -> Random:
    """Return the chances of one purpose: what one draws does not change what others draw."""
    return Random(f"{seed}/{purpose}")  # noqa: S311 # chance that can be repeated


class SimulatedClock:
    """The clock of one process, which may be wrong."""

    def __init__(self, world: World, *, skew: timedelta = timedelta(0)) -> None:
        self._world = world
        self._beginning = BEGINNING + skew

    def now(self) -> datetime:
        """Return the time in UTC."""
        return self._beginning + timedelta(seconds=self._world.loop.time())
