"""What befalls a simulated world: kills, pauses, cut connections, outages, emptied queues."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from infra.simulation.loop import RESIDENT
from infra.simulation.processes import Killed, Process
from infra.simulation.staff import Surroundings
from infra.simulation.town import Town
from infra.simulation.world import Troubles, drawn

PLACES: Final = (
    "carrier.after_delivery",
    "carrier.before_ack",
    "carrier.before_effect",
    "carrier.after_effect",
    "follower.before_advance",
    "inbox.after_receive",
    "inbox.before_ack",
    "inbox.after_ack",
    "leases.before_record",
    "recorder.before_append",
    "recorder.after_append",
    "relay.after_read",
    "store.before_commit",
    "store.in_advance",
    "view.before_commit",
    "view.after_commit",
)
"""The failpoints of the loops: a process may be killed in any of them."""


@dataclass(slots=True)
class Nemesis:
    """Does harm for a while, chosen by the seed, and then heals everything."""

    town: Town
    around: Surroundings
    seconds: float
    lots: Random = field(init=False)
    counts: dict[str, int] = field(default_factory=dict[str, int])
    """How often each fault was done."""

    _place: str = ""
    """Where the next process that passes is killed."""

    def __post_init__(self) -> None:
        self.lots = drawn(self.around.world.seed, "nemesis")

    def passed(self, name: str, about: tuple[object, ...]) -> None:
        """Kill the process that passes the place that is armed."""
        del about
        if name != self._place:
            return
        process = RESIDENT.get()
        if isinstance(process, Process) and process.is_alive:
            self._place = ""
            self._count(f"at {name}")
            process.kill()
            raise Killed

    async def rage(self) -> None:
        """Do harm until the time is over."""
        lots, world = self.lots, self.around.world
        world.troubles = Troubles(
            lost_commit=lots.choice((0.0, 0.02, 0.1)),
            failed_commit=lots.choice((0.0, 0.02)),
            lost_message=lots.choice((0.0, 0.01, 0.05)),
            lost_confirm=lots.choice((0.0, 0.02, 0.1)),
            nacked=lots.choice((0.0, 0.01)),
            doubled=lots.choice((0.0, 0.02, 0.1)),
            overtaken=lots.choice((0.0, 0.1, 0.5)),
            lost_signal=lots.choice((0.0, 0.1)),
        )
        faults: Sequence[tuple[int, Callable[[], Awaitable[None]]]] = (
            (5, self._kill),
            (5, self._kill_at_a_place),
            (3, self._pause),
            (3, self._cut),
            (1, self._stop_an_agent),
            (1, self._broker_outage),
            (1, self._database_outage),
            (1, self._crash_database),
            (1, self._wipe),
            (1, self._depose),
        )
        weights = [weight for weight, _ in faults]
        pace = lots.choice((0.4, 0.8, 1.5, 4.0))
        under_way: list[asyncio.Future[None]] = []
        until = world.now + self.seconds
        while (rest := until - world.now) > 0 and not world.violations:
            await asyncio.sleep(min(lots.expovariate(1 / pace), rest))
            _, fault = lots.choices(faults, weights)[0]
            under_way.append(asyncio.ensure_future(fault()))
        self._place = ""
        await asyncio.gather(*under_way)
        self.heal()

    def heal(self) -> None:
        """Let everything work from now on."""
        world = self.around.world
        world.note("heal")
        world.troubles = Troubles()
        self.around.broker.is_down = False
        self.around.database.is_down = False
        for process in self.town.living():
            process.go_on()

    async def _kill(self) -> None:
        if process := self._victim():
            self._count("kill")
            process.kill()

    async def _kill_at_a_place(self) -> None:
        self._place = self.lots.choice(PLACES)

    async def _pause(self) -> None:
        if process := self._victim():
            self._count("pause")
            process.pause()
            seconds = self.lots.choice((0.5, 3.0, 6.0))
            if seconds > 2 and self.lots.random() < 0.5:
                self.around.world.later(1.0, self.around.broker.cut, process)
            await asyncio.sleep(seconds)
            process.go_on()

    async def _cut(self) -> None:
        if process := self._victim():
            self._count("cut")
            self.around.broker.cut(process)

    async def _stop_an_agent(self) -> None:
        if self.town.stop_an_agent(self.lots):
            self._count("stop")

    async def _broker_outage(self) -> None:
        self._count("broker outage")
        self.around.broker.go_down()
        await asyncio.sleep(self.lots.uniform(0.3, 4))
        self.around.broker.is_down = False

    async def _database_outage(self) -> None:
        self._count("database outage")
        self.around.database.is_down = True
        await asyncio.sleep(self.lots.uniform(0.2, 3))
        self.around.database.is_down = False

    async def _crash_database(self) -> None:
        self._count("database crash")
        self.around.database.is_down = True
        self.around.database.crash()
        await asyncio.sleep(self.lots.uniform(0.2, 2))
        self.around.database.is_down = False

    async def _wipe(self) -> None:
        self._count("wipe")
        self.around.broker.wipe(everything=self.lots.random() < 0.5)

    async def _depose(self) -> None:
        """Take the lead away from a coordinator that does not know it yet."""
        self._count("depose")
        self.around.database.leader = None

    def _victim(self) -> Process | None:
        living = [one for one in self.town.living() if not one.is_paused]
        return self.lots.choice(living) if living else None

    def _count(self, fault: str) -> None:
        self.counts[fault] = self.counts.get(fault, 0) + 1
