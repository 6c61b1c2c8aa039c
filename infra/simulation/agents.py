"""The agents of a simulated world: the real kit, in processes that can be killed."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from agents.kit.carrier import Carrier
from agents.kit.heart import Heart
from agents.kit.identity import Identity
from agents.kit.reporter import Reporter
from bus.messages import Delivery
from bus.orders import decode_order, order_key
from bus.together import end
from bus.topology import LANES, Queue, work_queues
from domain.agent import AgentDeregistered, AgentRegistered
from domain.values import AgentType, Lane, Role
from infra.simulation.broker import Subscription
from infra.simulation.links import (
    SimulatedSender,
    SimulatedTaken,
)
from infra.simulation.processes import Process
from infra.simulation.staff import AWAY, Surroundings, of_work
from infra.simulation.world import SimulatedClock


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
                await asyncio.sleep(AWAY)
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
        self._around.broker.declare(of_work("execution", self._identity.agent_type))


class _Body:
    """A process that costs nothing."""

    def cpu(self) -> float:
        """Return the share of one processor that was used since the last call."""
        return 0.1

    def memory(self) -> int:
        """Return the bytes of memory that are in use."""
        return 1_000_000
