"""The coordinator: records what is said, relays what is recorded, and keeps the leases.

Any number of them may run. One leads and works; the others wait for its lead to be free. The lead
only avoids waste: two at once would be slower, not wrong.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

import structlog
from aio_pika import RobustConnection
from aiormq.exceptions import AMQPError
from psycopg_pool import AsyncConnectionPool

from bus.breakers import Breakers
from bus.connect import connect
from bus.consuming import Consumer
from bus.dead_letter_keeper import DeadLetterKeeper
from bus.dead_letters import DeadLetters
from bus.depths import BrokerDepths
from bus.follower import Follower
from bus.health import HealthKeeper
from bus.inbox import Inbox
from bus.leases import LeaseKeeper
from bus.owed import OwedWork
from bus.ports import Loop, SystemClock
from bus.publishing import Publisher
from bus.reactions import Reactions
from bus.recorder import Recorder
from bus.relay import Relay
from bus.signals import Heartbeat, listen
from bus.together import run_together
from bus.topology import DEAD, REPORTS, declare, declare_work, topology
from domain.policies import Event
from domain.recorded import Recorded
from domain.values import AgentType, Role
from infra.processes.parts import open_pool, open_store, required
from infra.settings import Settings
from infra.store.attempts import OpenAttempts
from infra.store.breakers import BreakerRegistry
from infra.store.dead_letters import DeadLetterTable
from infra.store.presence import PresenceTable
from infra.store.store import PostgresStore
from projections.attempts import ATTEMPTS
from projections.postgres import PostgresViews
from projections.runner import Runner

log = structlog.get_logger(__name__)

PREFETCH = 2_000
"""Reports that may be unanswered: four groups."""

_LOOK_AGAIN = 5.0
"""Seconds between two looks at whether the broker still has everything."""

_LOST = (AMQPError, OSError, RuntimeError, TimeoutError)


async def run(settings: Settings) -> None:
    """Coordinate until cancelled."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        pool = await stack.enter_async_context(open_pool(settings))
        await store.lead("coordinator", lambda: _coordinate(settings, store, pool))


async def _coordinate(settings: Settings, store: PostgresStore, pool: AsyncConnectionPool) -> None:
    url = required(settings.amqp.url, "TASKLOOM_AMQP__URL")
    async with AsyncExitStack() as stack:
        publishing = await stack.enter_async_context(await connect(url, name="coordinator.publish"))
        consuming = await stack.enter_async_context(await connect(url, name="coordinator.consume"))
        broker = _Declared(publishing)
        await broker.everything()
        publisher = await stack.enter_async_context(Publisher(publishing))
        recorder = Recorder(store, SystemClock())
        breakers = Breakers(
            registry=BreakerRegistry(pool, store),
            recorder=recorder,
            clock=SystemClock(),
            fuse=settings.breakers,
        )
        await breakers.recall()
        relay = Relay(publisher, broker.work, delay_of=breakers.delay_of)
        presence, lease = PresenceTable(pool), timedelta(seconds=settings.agents.lease)
        health = HealthKeeper(
            presence=presence,
            recorder=recorder,
            clock=SystemClock(),
            lease=lease,
            limits=settings.health,
        )
        open_attempts, depths = OpenAttempts(pool, store), BrokerDepths(consuming)
        keeper = LeaseKeeper(
            attempts=open_attempts,
            presence=presence,
            depths=depths,
            recorder=recorder,
            clock=SystemClock(),
            lease=lease,
        )
        owed = OwedWork(
            attempts=open_attempts,
            depths=depths,
            relay=relay,
            clock=SystemClock(),
            sightings=keeper.sightings,
            patience=timedelta(seconds=settings.agents.patience),
            holds_back=breakers.holds_back,
        )

        def hear(heartbeat: Heartbeat) -> None:
            keeper.hear(heartbeat)
            health.hear(heartbeat)
            breakers.hear(heartbeat)

        await listen(consuming, hear)
        inbox = Inbox(
            Consumer(consuming, REPORTS, prefetch=PREFETCH, declare=broker.everything),
            recorder,
            DeadLetters(publisher, SystemClock()),
        )
        dead = DeadLetterKeeper(
            Consumer(consuming, DEAD, prefetch=100, declare=broker.everything),
            DeadLetterTable(pool),
            SystemClock(),
        )
        reactions = Reactions(recorder)

        async def react(events: Sequence[Recorded[Event]]) -> None:
            breakers.note(events)
            await reactions(events)

        followers = [
            Follower("relay", relay, events=store.log(), positions=store),
            Follower("reactions", react, events=store.log(), positions=store),
        ]
        attempts = Runner(views=[ATTEMPTS], log=store.log(), store=PostgresViews(pool), pace=0.25)
        await attempts.prepare()
        log.info("coordinator.leads")
        loops: Sequence[Loop] = (
            recorder,
            inbox,
            dead,
            keeper,
            health,
            owed,
            breakers,
            attempts,
            broker,
            *followers,
        )
        await run_together(*(loop.run() for loop in loops))


class _Declared:
    """Makes the broker have what is needed, over a channel for the purpose."""

    def __init__(self, connection: RobustConnection) -> None:
        self._connection = connection

    async def everything(self) -> None:
        """Declare the topology; where all of it is there, nothing changes."""
        async with self._connection.channel() as channel:
            await declare(channel, topology())

    async def work(self, role: Role, agent_type: AgentType) -> None:
        """Declare the queues of an agent type that nobody has heard of before."""
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
            except _LOST as error:
                log.warning("topology.waits", why=str(error))
