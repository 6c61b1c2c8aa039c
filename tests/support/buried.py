"""A house in which messages die: broker, record, inbox, keeper and redriver, all real."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from psycopg_pool import AsyncConnectionPool

from bus.consuming import Consumer
from bus.dead_letter_keeper import DeadLetterKeeper
from bus.dead_letters import DeadLetters
from bus.inbox import Inbox
from bus.letters import Chosen, KeptLetter
from bus.ports import SystemClock
from bus.publishing import Publisher
from bus.recorder import Recorder
from bus.redriver import Redriver
from bus.redrives import Redrive, Wish
from bus.topology import DEAD, REPORTS
from domain.policies import Event
from domain.recorded import Recorded
from infra.store.dead_letters import DeadLetterTable
from infra.store.redrives import RedriveTable
from infra.store.store import PostgresStore
from tests.support.exchanges import Broker, a_broker

EVERY = Chosen(status="all")


def said(agent_id: str, type_: str, ident: str | None = None, **data: object) -> dict[str, Any]:
    """Return what an agent says of itself."""
    return {
        "specversion": "1.0",
        "id": ident or f"{type_}-{agent_id}",
        "source": f"/agents/{agent_id}",
        "type": type_,
        "time": "2026-01-20T11:30:00Z",
        "data": {"agent_id": agent_id, **data},
    }


def hello(agent_id: str) -> dict[str, Any]:
    return said(agent_id, "agent.registered", agent_type="NOOP", instance="1")


def goodbye(agent_id: str) -> dict[str, Any]:
    """Return a report that is refused until the agent has introduced itself."""
    return said(agent_id, "agent.deregistered")


@dataclass
class House:
    """Where messages die and live again."""

    broker: Broker
    store: PostgresStore
    letters: DeadLetterTable
    redrives: RedriveTable
    sender: Publisher

    async def say(self, *reports: dict[str, Any], **properties: Any) -> None:
        """Publish reports."""
        for report in reports:
            known: dict[str, Any] = {"message_id": report["id"], "key": report["type"]}
            await self.broker.tell(REPORTS, body=orjson.dumps(report), **(known | properties))

    async def until_dead(self, count: int) -> list[KeptLetter]:
        """Wait until so many letters are kept, and return them, the oldest first."""
        await self.until(lambda: self._is_dead(count), f"{count} letters are kept")
        return list(await self.letters.some(EVERY, limit=1_000))

    async def until_recorded(self, type_: str, count: int) -> list[Recorded[Event]]:
        """Wait until so many events of a type are recorded, and return them."""
        found: list[Recorded[Event]] = []

        async def is_there() -> bool:
            events = await self.store.read_all(after=0, limit=10_000)
            found[:] = [event for event in events if event.type == type_]
            return len(found) >= count

        await self.until(is_there, f"{count} {type_} are recorded")
        return found

    async def ended(self, redrive: Redrive) -> Redrive:
        """Wait until a redrive has ended and each of its letters has had its fate."""

        async def is_over() -> bool:
            seen = await self.redrives.show(redrive.id)
            return seen.status != "running" and not seen.fates.unanswered

        await self.until(is_over, f"redrive {redrive.id} is over")
        return await self.redrives.show(redrive.id)

    async def redrive(self, wish: Wish | None = None) -> Redrive:
        """Ask for a redrive and wait for its end."""
        return await self.ended(await self.redrives.ask(wish or Wish(), actor="users/ada"))

    async def kinds(self, number: int) -> list[str]:
        """Return what happened to a letter."""
        return [entry.kind for entry in (await self.letters.show(number)).entries]

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str) -> None:
        async with asyncio.timeout(30):
            while not await holds():  # noqa: ASYNC110 # it is another's to know
                await asyncio.sleep(0.05)

    async def _is_dead(self, count: int) -> bool:
        return await self.letters.count(EVERY) >= count and not await self.broker.count(DEAD)


@asynccontextmanager
async def a_house(
    database: str, vhost_url: str, *, has_redriver: bool = True, patience: float = 10.0
) -> AsyncGenerator[House]:
    """Open a house; without a redriver of its own, a test carries redrives out itself."""
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(a_broker(vhost_url))
        store = await stack.enter_async_context(PostgresStore(database))
        pool: AsyncConnectionPool = AsyncConnectionPool(database, open=False, max_size=8)
        await stack.enter_async_context(pool)
        sender = await stack.enter_async_context(Publisher(broker.connection))
        letters, redrives, clock = DeadLetterTable(pool), RedriveTable(pool), SystemClock()
        recorder = Recorder(store, clock)
        inbox = Inbox(
            Consumer(broker.connection, REPORTS, prefetch=500),
            recorder,
            DeadLetters(broker.publisher, clock),
            redriven=redrives,
        )
        keeper = DeadLetterKeeper(Consumer(broker.connection, DEAD, prefetch=100), letters, clock)
        loops = [recorder.run(), inbox.run(), keeper.run()]
        if has_redriver:
            loops.append(Redriver(redrives, sender, store, clock, patience=patience).run())
        tasks = [asyncio.create_task(loop) for loop in loops]
        try:
            yield House(broker, store, letters, redrives, sender)
            assert not any(task.done() for task in tasks), "a loop has ended"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
