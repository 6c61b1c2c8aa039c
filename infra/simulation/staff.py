"""The processes of the system, put together as ``infra/processes`` does, over simulated parts."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache

from bus.dead_letter_keeper import DeadLetterKeeper
from bus.dead_letters import DeadLetters
from bus.follower import Follower
from bus.health import HealthKeeper
from bus.holders import HoldersCheck
from bus.inbox import Inbox
from bus.leases import LeaseKeeper
from bus.moved import MovedWork
from bus.owed import OwedWork
from bus.ports import Loop
from bus.reactions import Reactions
from bus.recorder import Recorder
from bus.relay import Relay
from bus.signals import HEARTBEAT, decode_heartbeat
from bus.timekeeper import Timekeeper
from bus.together import end, run_together
from bus.topology import DEAD, REPORTS, Topology, topology, work_topology
from domain.policies import Event
from domain.recorded import Recorded
from domain.values import AgentType, Role
from infra.simulation.attempts import SimulatedAttempts
from infra.simulation.broker import Broker
from infra.simulation.database import Database
from infra.simulation.effects import Outside
from infra.simulation.links import (
    SimulatedDepths,
    SimulatedSender,
    SimulatedSource,
)
from infra.simulation.processes import Process
from infra.simulation.store import SimulatedStore
from infra.simulation.tables import SimulatedLedger, SimulatedLetters, SimulatedPresence
from infra.simulation.views import SimulatedViews
from infra.simulation.world import SimulatedClock, World
from projections.attempts import ATTEMPTS
from projections.catalog import PROJECTED
from projections.runner import Runner

LEASE = timedelta(seconds=2)
PATIENCE = timedelta(seconds=2)
BEAT = 0.6
AWAY = 0.3


@dataclass(slots=True, kw_only=True)
class Surroundings:
    """What all processes of a world share, and how they are set."""

    world: World
    database: Database
    broker: Broker
    outside: Outside
    types: Sequence[AgentType]
    group: int = 500
    most_parts: int = 200_000
    snapshot_every: int = 500
    batch: int = 500
    concurrency: int = 4
    heartbeat: float = BEAT
    lease: timedelta = LEASE
    is_led: bool = True
    """Whether coordinators wait for the lead; without it all of them work at once."""

    seen: list[Recorded[Event]] = field(default_factory=list[Recorded[Event]])
    """What the auditor's follower has heard."""

    def recorder(self, store: SimulatedStore, clock: SimulatedClock) -> Recorder:
        """Return a recorder with the settings of this world."""
        return Recorder(
            store,
            clock,
            group=self.group,
            most_parts=self.most_parts,
            snapshot_every=self.snapshot_every,
        )

    def pause(self) -> float:
        """Draw the seconds until something is tried again."""
        return self.world.lots.uniform(0.2, 0.3)


async def coordinate(process: Process, around: Surroundings) -> None:
    """Be a coordinator: lead, or wait for the lead."""
    database = around.database
    process.on_end.append(lambda: _give_up_lead(database, process))
    process.on_end.append(lambda: around.broker.cut(process))
    while around.is_led:
        if database.leader is None and not database.is_down:
            database.leader = process
            process.world.note("leads", process.name)
            working = asyncio.create_task(_coordinate(process, around))
            while database.leader is process and not working.done():
                await asyncio.wait([working], timeout=1.0)
            await end([working])
            around.broker.cut(process)
            _give_up_lead(database, process)
            if not working.cancelled():
                working.result()
        await asyncio.sleep(0.25)
    await _coordinate(process, around)


async def _coordinate(process: Process, around: Surroundings) -> None:
    world, broker = around.world, around.broker
    store = SimulatedStore(process, around.database)
    clock = SimulatedClock(world)
    sender = SimulatedSender(process, broker)
    declared = _Declared(process, around)
    await declared.insist()
    recorder = around.recorder(store, clock)
    relay = Relay(sender, declared.work, pause=around.pause)
    presence, attempts = (
        SimulatedPresence(store, around.database),
        SimulatedAttempts(store, around.database),
    )
    depths = SimulatedDepths(process, broker)
    health = HealthKeeper(presence=presence, recorder=recorder, clock=clock, lease=around.lease)
    keeper = LeaseKeeper(
        attempts=attempts,
        presence=presence,
        depths=depths,
        recorder=recorder,
        clock=clock,
        lease=around.lease,
        moved=lambda events: moved.watch(events),
    )
    moved = MovedWork(
        attempts=attempts,
        depths=depths,
        relay=relay,
        clock=clock,
        sightings=lambda: keeper.sightings(),
        holds_back=lambda _role, _type: False,
    )
    holders = HoldersCheck(attempts, sender, clock)
    owed = OwedWork(
        attempts=attempts,
        depths=depths,
        relay=relay,
        clock=clock,
        sightings=keeper.sightings,
        patience=PATIENCE,
    )

    def hear(body: bytes) -> None:
        heartbeat = decode_heartbeat(body)
        keeper.hear(heartbeat)
        health.hear(heartbeat)
        holders.hear(heartbeat)

    reactions = Reactions(recorder)

    async def react(events: Sequence[Recorded[Event]]) -> None:
        health.note(events)
        await reactions(events)

    listener = (process, HEARTBEAT, hear)
    broker.listeners.append(listener)
    letters = DeadLetters(sender, clock, new_id=world.new_id, pause=around.pause)
    views = Runner(
        views=[ATTEMPTS],
        log=store.log(),
        store=SimulatedViews(process, store, around.database),
        pace=0.25,
    )
    await views.prepare()
    loops: Sequence[Loop] = (
        recorder,
        Inbox(
            declared.source(REPORTS, 2_000),
            recorder,
            letters,
            ledger=SimulatedLedger(store, around.database),
            group=around.group,
        ),
        DeadLetterKeeper(
            declared.source(DEAD, 100), SimulatedLetters(store, around.database), clock
        ),
        keeper,
        moved,
        holders,
        Timekeeper(attempts, recorder, clock),
        health,
        owed,
        views,
        declared,
        Follower("relay", relay, events=store.log(), positions=store, batch=around.batch),
        Follower(
            "reactions",
            react,
            events=store.log(),
            positions=store,
            batch=around.batch,
        ),
    )
    try:
        await run_together(*(loop.run() for loop in loops))
    finally:
        broker.listeners.remove(listener)


async def project(process: Process, around: Surroundings) -> None:
    """Be a projector."""
    store = SimulatedStore(process, around.database)
    views = SimulatedViews(process, store, around.database)
    await Runner(views=PROJECTED, log=store.log(), store=views, pace=0.1).run()


async def audit(process: Process, around: Surroundings) -> None:
    """Be somebody who follows the log and believes that nothing is missing from it."""
    store = SimulatedStore(process, around.database)

    async def hear(events: Sequence[Recorded[Event]]) -> None:
        around.seen += events

    await Follower("audit", hear, events=store.log(), positions=store).run()


class _Declared:
    """Makes the broker have what is needed, as the coordinator does."""

    def __init__(self, process: Process, around: Surroundings) -> None:
        self._process = process
        self._around = around

    async def everything(self) -> None:
        """Declare the topology."""
        await self._process.world.pass_time()
        self._process.check()
        self._around.broker.declare(_of_all(tuple(self._around.types)))

    async def work(self, role: Role, agent_type: AgentType) -> None:
        """Declare the queues of an agent type."""
        await self._process.world.pass_time()
        self._process.check()
        self._around.broker.declare(of_work(role, agent_type))

    async def insist(self) -> None:
        """Declare the topology, as soon as the broker is there."""
        await _insist(self.everything)

    async def run(self) -> None:
        """Declare everything again and again until cancelled."""
        while True:
            await asyncio.sleep(5.0)
            await _insist(self.everything)

    def source(self, queue: str, prefetch: int) -> SimulatedSource:
        """Return a consumer of a queue."""
        return SimulatedSource(
            self._process,
            self._around.broker,
            queue,
            prefetch=prefetch,
            declare=self.everything,
        )


@cache
def _of_all(types: tuple[AgentType, ...]) -> Topology:
    return topology(planning=(), execution=types)


@cache
def of_work(role: Role, agent_type: AgentType) -> Topology:
    """Return the queues of an agent type; asked again, the same object."""
    return work_topology(role, agent_type)


async def _insist(declare: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await declare()
        except OSError:
            await asyncio.sleep(AWAY)


def _give_up_lead(database: Database, process: Process) -> None:
    if database.leader is process:
        database.leader = None
