"""The processes of the system, put together as ``infra/processes`` does, over simulated parts."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache

from agents.kit.carrier import Carrier
from agents.kit.heart import Heart
from agents.kit.identity import Identity
from agents.kit.reporter import Reporter
from bus.dead_letter_keeper import DeadLetterKeeper
from bus.dead_letters import DeadLetters
from bus.follower import Follower
from bus.health import HealthKeeper
from bus.holders import HoldersCheck
from bus.inbox import Inbox
from bus.leases import LeaseKeeper
from bus.messages import Delivery
from bus.moved import MovedWork
from bus.orders import decode_order, order_key
from bus.owed import OwedWork
from bus.ports import Loop
from bus.reactions import Reactions
from bus.recorder import Recorder
from bus.relay import Relay
from bus.signals import HEARTBEAT, decode_heartbeat
from bus.timekeeper import Timekeeper
from bus.together import end, run_together
from bus.topology import DEAD, LANES, REPORTS, Queue, Topology, topology, work_queues, work_topology
from domain.agent import AgentDeregistered, AgentRegistered
from domain.policies import Event
from domain.recorded import Recorded
from domain.values import AgentType, Lane, Role
from infra.simulation.attempts import SimulatedAttempts
from infra.simulation.broker import Broker, Subscription
from infra.simulation.database import Database
from infra.simulation.effects import Outside
from infra.simulation.links import (
    SimulatedDepths,
    SimulatedSender,
    SimulatedSource,
    SimulatedTaken,
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
_AWAY = 0.3


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
            Reactions(recorder),
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


class AgentProcess:
    """An agent, as ``agents/kit/application.py`` puts it together, from start to goodbye."""

    def __init__(
        self, process: Process, around: Surroundings, agent_type: AgentType, agent_id: str
    ) -> None:
        skew = timedelta(seconds=around.world.lots.choice((-3600, -5, 0, 5, 3600)))
        clock = SimulatedClock(around.world, skew=skew)
        self.process = process
        self._around = around
        self._identity = Identity(
            agent_id=agent_id,
            agent_type=agent_type,
            role="execution",
            instance=process.name.replace("#", "-"),
        )
        sender = SimulatedSender(process, around.broker)
        self._reporter = Reporter(sender, self._identity, restore=self._restore, clock=clock)
        self._carrier = Carrier(
            around.outside.agent(process, agent_type),
            self._identity,
            self._reporter,
            concurrency=around.concurrency,
            patience=5.0,
        )
        self._heart = Heart(
            sender,
            self._identity,
            self._carrier,
            body=_Body(),
            interval=around.heartbeat,
            clock=clock,
        )
        self._registrations = 0
        self._is_registered = False
        self._registering: list[asyncio.Task[None]] = []
        self._is_stopping = asyncio.Event()

    def stop(self) -> None:
        """Ask it to stop, as SIGTERM does."""
        self._is_stopping.set()

    async def run(self) -> None:
        """Work until asked to stop, then finish what is in hand and say goodbye."""
        process, around = self.process, self._around
        process.on_end.append(lambda: around.broker.cut(process))
        role: Role = "execution"
        queues = work_queues(role, self._identity.agent_type)
        try:
            await self._serve(queues)
        finally:
            process.kill()

    async def _serve(self, queues: Sequence[Queue]) -> None:
        process, around = self.process, self._around
        around.broker.listeners.append((process, order_key(self._identity.agent_id), self._obey))
        async with self._heart:
            takers = [
                asyncio.create_task(self._take_from(queue.name, lane))
                for lane, queue in zip(LANES, queues, strict=True)
            ]
            await self._is_stopping.wait()
            self._carrier.gate.close()
            self._heart.is_stopping = True
            await end(takers)
            around.broker.cut(process)
            await end(self._registering)
            await self._carrier.drain(3.0)
            self._heart.beat()
            if not self._is_registered:
                return
            goodbye = AgentDeregistered(
                agent_id=self._identity.agent_id,
                instance=self._identity.instance,
                reason="stopped",
            )
            await self._reporter.insist(
                self._reporter.report(goodbye, origin=self._identity.agent_id)
            )

    def _obey(self, raw: bytes) -> None:
        self._carrier.obey(decode_order(raw))

    async def _register(self) -> None:
        self._registrations += 1
        registered = AgentRegistered(
            agent_id=self._identity.agent_id,
            agent_type=self._identity.agent_type,
            instance=self._identity.instance,
        )
        origin = f"{self._identity.agent_id}/{self._registrations}"
        await self._reporter.insist(self._reporter.report(registered, origin=origin))
        self._is_registered = True

    async def _take_from(self, queue: str, lane: Lane) -> None:
        """Take from one queue for ever, over a channel that is opened again."""
        around, process = self._around, self.process
        takes: set[asyncio.Task[None]] = set()
        while True:
            arrived: asyncio.Queue[Delivery | None] = asyncio.Queue()
            subscription = Subscription(
                process,
                queue,
                around.concurrency,
                arrived.put_nowait,
                lambda arrived=arrived: arrived.put_nowait(None),  # type: ignore[misc]
            )
            try:
                await self._restore()
                around.broker.subscribe(subscription)
            except OSError:
                await asyncio.sleep(_AWAY)
                continue
            if lane == LANES[0]:
                self._registering.append(asyncio.create_task(self._register()))
            while (delivery := await arrived.get()) is not None:
                taken = SimulatedTaken(delivery, around.broker, subscription)
                take = asyncio.create_task(self._carrier.take(taken, lane=lane, queue=queue))
                takes.add(take)
                take.add_done_callback(takes.discard)
            await asyncio.sleep(around.pause())

    async def _restore(self) -> None:
        await self.process.world.pass_time()
        self.process.check()
        self._around.broker.declare(_of_work("execution", self._identity.agent_type))


class _Body:
    """A process that costs nothing."""

    def cpu(self) -> float:
        """Return the share of one processor that was used since the last call."""
        return 0.1

    def memory(self) -> int:
        """Return the bytes of memory that are in use."""
        return 1_000_000


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
        self._around.broker.declare(_of_work(role, agent_type))

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
def _of_work(role: Role, agent_type: AgentType) -> Topology:
    return work_topology(role, agent_type)


async def _insist(declare: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await declare()
        except OSError:
            await asyncio.sleep(_AWAY)


def _give_up_lead(database: Database, process: Process) -> None:
    if database.leader is process:
        database.leader = None
