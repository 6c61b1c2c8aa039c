"""The coordinator: records what is said, relays what is recorded, and keeps the leases.

Any number of them may run. One leads and works; the others wait for its lead to be free. The lead
only avoids waste: two at once would be slower, not wrong.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

import structlog
from aio_pika import RobustConnection
from psycopg_pool import AsyncConnectionPool

from bus.breakers import Breakers
from bus.connect import connect
from bus.consuming import Consumer
from bus.dead_letter_keeper import DeadLetterKeeper
from bus.dead_letters import DeadLetters
from bus.delivering import Delivering
from bus.depths import BrokerDepths
from bus.ears import Ears
from bus.farewells import Farewells
from bus.follower import Follower
from bus.gate import Gate
from bus.health import HealthKeeper
from bus.held import HeldReports, Holding
from bus.holders import HoldersCheck
from bus.inbox import Inbox
from bus.leases import LeaseKeeper
from bus.lost import LOST, insist, telling_loss
from bus.moved import MovedWork
from bus.owed import OwedWork
from bus.ports import Loop, SystemClock
from bus.publishing import Publisher
from bus.reactions import Reactions
from bus.recorder import Recorder
from bus.redriver import Redriver
from bus.relay import Relay
from bus.replanning import Replanner
from bus.shares import Shares
from bus.signatures import Signatures
from bus.subscriber_queues import QueueCarrier
from bus.timekeeper import Timekeeper
from bus.together import end_if_told, run_together
from bus.topology import DEAD, HELD, REPORTS, declare, declare_work, topology
from bus.webhooks import WebhookCarrier
from domain.errors import Unavailable
from domain.policies import Event
from domain.recorded import Recorded
from domain.values import AgentType, Role
from infra.audit.checkpoints import CheckpointFile
from infra.audit.sealing import Sealer
from infra.processes.parts import open_kek, open_pool, open_store, required
from infra.settings import Settings
from infra.store.agent_keys import AgentKeyTable
from infra.store.attempts import OpenAttempts
from infra.store.breakers import BreakerRegistry
from infra.store.dead_letters import DeadLetterTable
from infra.store.parked import ParkedEvents
from infra.store.presence import PresenceTable
from infra.store.redrives import RedriveTable
from infra.store.staff import StaffTable
from infra.store.store import PostgresStore
from infra.store.subscriptions import SubscriptionTable
from infra.store.suspects import SuspectTable
from projections.agent_types import AgentTypes
from projections.attempts import ATTEMPTS
from projections.ownership import owner_in
from projections.postgres import PostgresViews
from projections.runner import Runner

log = structlog.get_logger(__name__)

PREFETCH = 2_000
"""Reports that may be unanswered: four groups."""

_LOOK_AGAIN = 5.0
"""Seconds between two looks at whether the broker still has everything."""


async def run(settings: Settings) -> None:
    """Coordinate until cancelled.

    Whatever takes time is ready before the lead is: connections, queues, and ears for heartbeats.
    """
    async with AsyncExitStack() as stack:
        url = required(settings.amqp.url, "TASKLOOM_AMQP__URL")
        store = await stack.enter_async_context(open_store(settings))
        pool = await stack.enter_async_context(open_pool(settings))
        publishing = await stack.enter_async_context(await connect(url, name="coordinator.publish"))
        hearing = await stack.enter_async_context(await connect(url, name="coordinator.hear"))
        broker = _Declared(publishing)
        await insist(broker.everything)
        publisher = await stack.enter_async_context(Publisher(publishing))
        ready = _Ready(
            settings=settings,
            store=store,
            pool=pool,
            broker=broker,
            publisher=publisher,
            letters=await stack.enter_async_context(Publisher(publishing)),
            holding=await stack.enter_async_context(Publisher(publishing)),
            subscribers=QueueCarrier(
                publishing, await stack.enter_async_context(Publisher(publishing))
            ),
            depths=BrokerDepths(hearing),
            # With a channel of its own: a word to oneself must not wait behind a thousand events.
            ears=Ears(await stack.enter_async_context(Publisher(publishing))),
        )
        await ready.ears.open(hearing)
        await ready.have_tables()
        end_if_told()
        log.info("coordinator.ready")
        await store.lead("coordinator", lambda: _coordinate(ready))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """What a coordinator has at hand before it leads."""

    settings: Settings
    store: PostgresStore
    pool: AsyncConnectionPool
    broker: "_Declared"
    publisher: Publisher
    letters: Publisher
    """Sends letters again: the relay must not wait behind thousands of them."""

    holding: Publisher
    """Moves what is held: it must not wait behind what the relay publishes."""

    subscribers: QueueCarrier
    depths: BrokerDepths
    ears: Ears

    async def have_tables(self) -> None:
        """Have the tables of the view ready, if the database answers: who leads needs them only."""
        try:
            await self.attempts().prepare()
        except Unavailable as error:
            log.info("coordinator.tables_wait", why=str(error))

    def attempts(self) -> Runner:
        """Return who keeps the view of open attempts."""
        return Runner(
            views=[ATTEMPTS], log=self.store.log(), store=PostgresViews(self.pool), pace=0.25
        )


async def _coordinate(ready: _Ready) -> None:
    settings, store, pool, broker = ready.settings, ready.store, ready.pool, ready.broker
    url = required(settings.amqp.url, "TASKLOOM_AMQP__URL")
    async with await connect(url, name="coordinator.consume") as consuming:
        recorder = Recorder(store, SystemClock())
        store.when_forgotten(recorder.forget)
        breakers = Breakers(
            registry=BreakerRegistry(pool, store),
            recorder=recorder,
            clock=SystemClock(),
            fuse=settings.breakers,
        )
        await breakers.recall()
        relay = Relay(ready.publisher, broker.work, delay_of=breakers.delay_of)
        presence, lease = PresenceTable(pool), timedelta(seconds=settings.agents.lease)
        health = HealthKeeper(
            presence=presence,
            recorder=recorder,
            clock=SystemClock(),
            lease=lease,
            limits=settings.health,
            is_echoed=True,
        )
        open_attempts = OpenAttempts(pool, store)
        moved = MovedWork(
            attempts=open_attempts,
            depths=ready.depths,
            relay=relay,
            clock=SystemClock(),
            sightings=lambda: keeper.sightings(),
            holds_back=breakers.holds_back,
        )
        keeper = LeaseKeeper(
            attempts=open_attempts,
            presence=presence,
            depths=ready.depths,
            recorder=recorder,
            clock=SystemClock(),
            lease=lease,
            is_echoed=True,
            moved=moved.watch,
        )
        owed = OwedWork(
            attempts=open_attempts,
            depths=ready.depths,
            relay=relay,
            clock=SystemClock(),
            sightings=keeper.sightings,
            patience=timedelta(seconds=settings.agents.patience),
            holds_back=breakers.holds_back,
        )
        holders = HoldersCheck(open_attempts, ready.publisher, SystemClock())
        farewells = Farewells(store, ready.publisher, SystemClock())
        timekeeper = Timekeeper(open_attempts, recorder, SystemClock())
        redrives = RedriveTable(pool)
        gate = Gate(
            store,
            recorder,
            SystemClock(),
            requires_user=settings.amqp.senders == "require",
            signatures=_signatures(settings, pool),
        )
        shares = Shares(
            SystemClock(), rate=settings.amqp.report_rate, burst=settings.amqp.report_burst
        )
        inbox = Inbox(
            Consumer(consuming, REPORTS, prefetch=PREFETCH, declare=broker.everything, rank=_now()),
            recorder,
            DeadLetters(ready.publisher, SystemClock()),
            ledger=SuspectTable(pool),
            redriven=redrives,
            gate=gate,
            holding=Holding(shares, ready.holding),
        )
        held = Inbox(
            HeldReports(
                Consumer(consuming, HELD, prefetch=200, declare=broker.everything, rank=_now()),
                SystemClock(),
                rate=shares.rate,
                is_idle=inbox.is_idle,
            ),
            recorder,
            DeadLetters(ready.publisher, SystemClock()),
            ledger=SuspectTable(pool),
            redriven=redrives,
            gate=gate,
        )
        redriver = Redriver(redrives, ready.letters, store, SystemClock())
        subscriptions = SubscriptionTable(pool, kek=open_kek(settings))
        await subscriptions.wrap()
        delivering = Delivering(
            subscriptions,
            {
                "queue": ready.subscribers,
                "webhook": WebhookCarrier(SystemClock(), allowed=settings.http.webhook_hosts),
            },
            recorder,
            SystemClock(),
            new_log=store.log,
            types=AgentTypes(pool).of,
            owner_of=lambda plan_id: owner_in(pool, plan_id),
        )
        dead = DeadLetterKeeper(
            Consumer(consuming, DEAD, prefetch=100, declare=broker.everything, rank=_now()),
            DeadLetterTable(pool),
            SystemClock(),
        )
        reactions = Reactions(recorder)
        replanner = Replanner(
            StaffTable(pool),
            recorder,
            SystemClock(),
            patience=timedelta(seconds=settings.agents.replan_after),
        )

        sealer = Sealer(
            pool,
            checkpoints=CheckpointFile(settings.checkpoints, settings.signing_key),
            clock=SystemClock(),
            every=settings.audit.every,
            seconds=settings.audit.seconds,
        )

        async def react(events: Sequence[Recorded[Event]]) -> None:
            breakers.note(events)
            health.note(events)
            farewells.note(events)
            gate.note(events)
            await gate.revoke(events)
            # A plan may ask for a run and be cancelled at once: the run has to be there by then.
            await replanner(events)
            await reactions(events)

        followers = [
            Follower(name, hear, events=store.log(), positions=store, parking=ParkedEvents(pool))
            for name, hear in (("relay", relay), ("reactions", react))
        ]
        log.info("coordinator.leads")
        loops: Sequence[Loop] = (
            recorder,
            inbox,
            held,
            dead,
            redriver,
            delivering,
            keeper,
            moved,
            holders,
            farewells,
            timekeeper,
            health,
            owed,
            replanner,
            breakers,
            ready.attempts(),
            sealer,
            broker,
            ready.ears,
            *followers,
        )

        def hear_itself() -> None:
            keeper.hear_itself()
            health.hear_itself()

        ears = (keeper.hear, holders.hear, farewells.hear, health.hear, breakers.hear)
        hearers = map(gate.unless_suspended, ears)
        with ready.ears.listening(*hearers, echo=hear_itself):
            await run_together(*(loop.run() for loop in loops))


def _signatures(settings: Settings, pool: AsyncConnectionPool) -> Signatures | None:
    strictness = settings.amqp.signatures
    if strictness == "off":
        return None
    keys = AgentKeyTable(pool, settings.amqp.secret())
    return Signatures(keys, SystemClock(), strictness=strictness)


def _now() -> int:
    """Return the rank of a consumer: who has taken the lead last is given messages first.

    A leader that stands still has not left its queues; it must not get half of what comes.
    """
    return int(SystemClock().now().timestamp())


class _Declared:
    """Makes the broker have what is needed, over a channel for the purpose."""

    def __init__(self, connection: RobustConnection) -> None:
        self._connection = connection

    async def everything(self) -> None:
        """Declare the topology; where all of it is there, nothing changes."""
        with telling_loss():
            async with self._connection.channel() as channel:
                await declare(channel, topology())

    async def work(self, role: Role, agent_type: AgentType) -> None:
        """Declare the queues of an agent type that nobody has heard of before."""
        with telling_loss():
            async with self._connection.channel() as channel:
                await declare_work(channel, role, agent_type)

    async def run(self) -> None:
        """Declare everything again and again until cancelled.

        Nobody is told when an exchange or a binding is deleted: its publishers would repeat, and
        wait, for ever.
        """
        while True:
            await asyncio.sleep(_LOOK_AGAIN)
            try:
                await self.everything()
            except LOST as error:
                log.warning("topology.waits", why=str(error))
