"""Stands where the coordinator stands, and sees an agent from the broker's side."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aio_pika import RobustConnection
from aiormq.exceptions import ChannelNotFoundEntity

from bus.connect import connect
from bus.consuming import Consumer
from bus.envelope import decode_report, encode_recorded
from bus.heartbeats import listen
from bus.messages import Message
from bus.publishing import Publisher
from bus.signals import Heartbeat
from bus.topology import DEAD, REPORTS, WORK, declare, topology, work_key
from domain.deciders import PUBLIC_REPORTS
from domain.recorded import Recorded, Report, derived_id
from domain.run_events import TaskDispatched
from domain.values import Lane, Value


class Bench:
    """Sends work, hears reports and heartbeats."""

    def __init__(self, url: str, connection: RobustConnection, publisher: Publisher) -> None:
        self.url = url
        self.connection = connection
        self._publisher = publisher
        self.reports: list[Report[Value]] = []
        self.heartbeats: list[Heartbeat] = []
        self.dead: list[tuple[bytes, dict[str, object]]] = []
        self.orders = 0

    async def dispatch(
        self, task_id: str, *, epoch: int = 1, lane: Lane = "normal", **changes: object
    ) -> None:
        dispatched = TaskDispatched.model_validate(
            {
                "run_id": "exec_1",
                "plan_id": None,
                "task_id": task_id,
                "epoch": epoch,
                "agent": "TEST",
                "role": "execution",
                "lane": lane,
                "name": task_id,
                "action": "act",
                "params": {"n": 1},
                "inputs": {},
            }
            | changes
        )
        recorded = Recorded(
            id=f"{task_id}/{epoch}",
            position=1,
            stream="exec_1",
            version=1,
            event=dispatched,
            at=datetime.now(UTC),
            actor="taskloom.runs",
            correlation_id="story",
        )
        await self.send(encode_recorded(recorded), derived_id(recorded.id, "work"), lane)

    async def send(self, body: bytes, message_id: str, lane: Lane = "normal") -> None:
        key = work_key("execution", "TEST", lane)
        await self._publisher.publish(
            Message(
                exchange=WORK, key=key, body=body, message_id=message_id, type="task.dispatched"
            )
        )

    async def tell(self, signal: Message) -> None:
        """Send a signal, and return when the broker has it."""
        assert await self._publisher.send(signal) == "confirmed"

    def said(self, kind: type[Value]) -> list[str]:
        """Return the tasks of which something was said, in order."""
        return [r.body.task_id for r in self.reports if isinstance(r.body, kind)]  # type: ignore[attr-defined]

    def types(self) -> list[str]:
        return [str(r.body.type) for r in self.reports]  # type: ignore[attr-defined]

    async def gets(self, kind: str) -> None:
        """Take reports from their queue until there is one of that type."""
        async with asyncio.timeout(20):
            while True:
                try:
                    async with self.connection.channel() as channel:
                        queue = await channel.declare_queue(REPORTS, passive=True)
                        while got := await queue.get(no_ack=True, fail=False):
                            if got.routing_key == kind:
                                return
                except ChannelNotFoundEntity:
                    pass
                await asyncio.sleep(0.02)

    async def waits(self, queue: str) -> int:
        async with self.connection.channel() as channel:
            declared = await channel.declare_queue(queue, passive=True)
            return declared.declaration_result.message_count or 0


@asynccontextmanager
async def bench(url: str, *, is_deaf: bool = False) -> AsyncIterator[Bench]:
    async with await connect(url, name="bench") as connection, Publisher(connection) as publisher:
        async with connection.channel() as channel:
            await declare(channel, topology(planning=(), execution=("TEST",)))
        here = Bench(url, connection, publisher)

        async def hear(queue: str) -> None:
            async for group in Consumer(connection, queue, prefetch=500).groups(500):
                for delivery in group.deliveries:
                    if queue == DEAD:
                        here.dead.append((delivery.body, dict(delivery.properties.headers or {})))
                    else:
                        here.reports.append(decode_report(delivery.body, PUBLIC_REPORTS))
                await group.ack()

        await listen(connection, here.heartbeats.append)
        heard = (DEAD,) if is_deaf else (DEAD, REPORTS)
        hearing = [asyncio.create_task(hear(queue)) for queue in heard]
        try:
            yield here
        finally:
            for task in hearing:
                task.cancel()
            await asyncio.wait(hearing)
