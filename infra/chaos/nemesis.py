"""Who breaks things: a deck of faults, shuffled by a seed and played to its end."""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import psycopg

from domain.errors import Unavailable
from infra.chaos.faults.catalogue import FAULTS
from infra.chaos.faults.fault import Fault, Means, Outcome, came
from infra.chaos.history import History, Line
from infra.chaos.watcher import Watcher
from infra.chaos.workload import Workload
from infra.chaos.world import World

_TOGETHER: Final = 0.5
"""How often one more fault is there at the same time."""

_AT_ONCE: Final = 2

_FIRST: Final = ("crash", "kill", "broker", "database")
"""What is played before the rest, so that a run that is cut short has the most to say."""

_TRIES: Final = 4
"""How often a fault that did not fire is tried, all in all."""

_PROGRESS_S: Final = 20.0
"""Seconds to wait at most for some work to be done between two faults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """How often each fault has to fire."""

    kills: int
    """kill -9 of processes, those at crash points included."""

    hits: int
    """Of each crash point."""

    restarts: int
    """Of the broker, and as many of the database."""

    only: Collection[str] = ()
    """Families or ids; where it is empty, all but the long outages."""

    times: int = 0
    """How often each of them has to fire, whatever the others say; 0 leaves it to them."""

    def wanted(self) -> Mapping[str, int]:
        """Return how often each fault is wanted."""
        some = max(1, self.kills // 100)
        wanted = dict.fromkeys(FAULTS, some)
        crashes = [fault.id for fault in FAULTS.values() if fault.family == "crash"]
        wanted |= dict.fromkeys(crashes, self.hits)
        stopped = self.restarts // 4
        wanted |= {
            "F-B1a": self.restarts - stopped,
            "F-B1b": stopped,
            "F-B4": math.ceil(some / 3),
            "F-P4a": self.restarts - self.restarts // 2,
            "F-P4b": self.restarts // 2,
            "F-M4": 2 * some,
            "F-T1": 2 * some,
            "F-W5": 3 * some,
            "F-K4": math.ceil(some / 2),
        }
        rest = self.kills - len(crashes) * self.hits - wanted["F-K3"] - wanted["F-K4"]
        wanted |= {"F-K1": max(rest // 2, 1), "F-K2": max(rest - rest // 2, 1)}
        if self.times:
            wanted = dict.fromkeys(FAULTS, self.times)
        return {id_: count for id_, count in wanted.items() if count and self.includes(FAULTS[id_])}

    def includes(self, fault: Fault) -> bool:
        """Say whether a fault is among those that are wanted."""
        if not self.only:
            return fault.family != "outage"
        return fault.id in self.only or fault.family in self.only


class Nemesis:
    """Plays the deck."""

    def __init__(
        self,
        world: World,
        watcher: Watcher,
        workload: Workload,
        *,
        quotas: Quotas,
        seed: str,
        pace: float = 0.2,
    ) -> None:
        """Take the seconds between two faults as ``pace``, about."""
        self._world = world
        self._watcher = watcher
        self._workload = workload
        self._lots = random.Random(f"nemesis/{seed}")  # noqa: S311 # faults that can be repeated
        self._pace = pace
        self.wanted = quotas.wanted()
        self.fired: Counter[str] = Counter()
        self.now = ""
        """What is broken at the moment, for people."""

    def resume(self, lines: Sequence[Line]) -> None:
        """Count what earlier runs have done."""
        self.fired.update(
            line.name for line in lines if line.what == "over" and line.said.get("fired")
        )

    @property
    def left(self) -> int:
        """How many faults still have to fire."""
        return sum(max(count - self.fired[id_], 0) for id_, count in self.wanted.items())

    async def run(self) -> None:
        """Play the deck until nothing is left of it, or what is left does not fire."""
        for _ in range(_TRIES):
            deck = [
                FAULTS[id_]
                for id_, count in self.wanted.items()
                for _ in range(max(count - self.fired[id_], 0))
            ]
            self._lots.shuffle(deck)
            deck.sort(key=lambda fault: fault.family in _FIRST)  # they are played from the end
            while deck:
                await asyncio.gather(*map(self.inject, self._hand(deck)))
                await self._rest()

    def _hand(self, deck: list[Fault]) -> Sequence[Fault]:
        """Take the next fault off the deck, and others that hit something else."""
        hand = [deck.pop()]
        while len(hand) < _AT_ONCE and self._lots.random() < _TOGETHER:
            hit = {(fault.family, fault.heals) for fault in hand}
            others = [n for n, fault in enumerate(deck) if (fault.family, fault.heals) not in hit]
            if not others:
                break
            hand.append(deck.pop(others[-1]))
        return hand

    async def inject(self, fault: Fault) -> Outcome:
        """Break one thing, undo it, and write both down."""
        history = self._world.history
        self.now = f"{fault.id} {fault.about}"
        try:
            outcome = await fault.inject(self._means(fault, history))
        except (Unavailable, psycopg.Error, OSError) as error:
            outcome = came(fired=False, why=str(error)[:500])
        history.write("over", fault.id, fired=outcome.fired, **outcome.said)
        self.fired[fault.id] += outcome.fired
        if outcome.fired and fault.heals == "projected":
            await self._see_views_catch_up()
        return outcome

    async def _see_views_catch_up(self) -> None:
        head = self._watcher.position
        await self._watcher.seen(head, seconds=_PROGRESS_S)
        self._world.history.write("projected", "views", position=self._watcher.views, head=head)

    def _means(self, fault: Fault, history: History) -> Means:
        return Means(
            world=self._world,
            lots=self._lots,
            nudge=self._workload.nudge,
            submit=self._workload.submit_wide,
            plans=lambda: list(self._workload.plans.values()),
            begun=partial(history.write, "fault", fault.id),
        )

    async def _rest(self) -> None:
        """Let some work be done: whoever is struck again before it stands proves nothing."""
        await self._watcher.progress(seconds=_PROGRESS_S)
        await asyncio.sleep(self._lots.uniform(0, 2 * self._pace))
