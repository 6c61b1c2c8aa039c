"""Runs an agent in the test's own process, and finds its connections."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import replace

from aio_pika import RobustConnection

from agents.agent import Agent, Work
from agents.kit.application import Options, run_until
from domain.values import JsonObject

Act = Callable[[Work], Awaitable[JsonObject]]


class Running:
    def __init__(
        self, act: Act | Agent, url: str, *, agent_id: str = "test_worker_001", **options: float
    ) -> None:
        agent = act if isinstance(act, Agent) else Agent(type="TEST", actions={"act": act})
        settings = replace(Options(heartbeat=0.05, grace=5), **options)  # type: ignore[arg-type]
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(
            run_until(self.stop, agent, url=url, agent_id=agent_id, options=settings)
        )

    async def end(self) -> None:
        self.stop.set()
        async with asyncio.timeout(20):
            await self.task

    async def __aenter__(self) -> "Running":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()


async def echo(work: Work) -> JsonObject:
    return {"params": work.params, "inputs": dict(work.inputs)}


def connection_of(name: str) -> RobustConnection:
    """Return the open connection of that name, whoever holds it."""
    return next(
        found
        for found in gc.get_objects()
        # Not isinstance, which asks weak proxies for what may be gone.
        if issubclass(type(found), RobustConnection)
        and found.url.query.get("name") == name
        and not found.is_closed
    )


async def cut(name: str) -> None:
    """Cut the connection of that name, as a broken network would."""
    transport = connection_of(name).transport
    assert transport is not None
    await transport.connection.close(ConnectionError("cut"))
