"""Lets an agent's heart beat in a thread of its own, over a connection of its own.

An agent may be busy with something that lets nothing else run for a while. That is no reason to
take its work away, until it has lasted for too long.
"""

import asyncio
import time
from contextlib import suppress
from threading import Thread
from typing import Final, Self

import structlog

from agents.kit.carrier import Carrier
from agents.kit.heart import Body, Heart
from agents.kit.identity import Identity
from bus.connect import connect, reconnect_interval
from bus.lost import LOST, telling_loss
from bus.ports import Clock
from bus.publishing import Publisher
from bus.signing import SigningKey

log = structlog.get_logger(__name__)

PATIENCE: Final = 60.0
"""Seconds for which an agent may let nothing else run before its heart falls silent."""

_LOOK: Final = 0.25
_GOODBYE: Final = 3.0


class Pulse:
    """The thread in which the heart of one agent beats."""

    def __init__(
        self,
        url: str,
        identity: Identity,
        carrier: Carrier,
        *,
        body: Body,
        interval: float,
        clock: Clock,
        key: SigningKey | None = None,
        patience: float = PATIENCE,
    ) -> None:
        """Take what the heart speaks of; ``interval`` and ``patience`` are in seconds.

        ``key`` signs every heartbeat.
        """
        self._key = key
        self._url = url
        self._identity = identity
        self._carrier = carrier
        self._body = body
        self._interval = interval
        self._clock = clock
        self._patience = patience
        self._thread = Thread(target=self._run, name="heart", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._living: asyncio.Task[None] | None = None
        self._heart: Heart | None = None
        self._is_stopping = False
        self._moved_at = time.monotonic()
        self._moving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._moving = asyncio.create_task(self._move(), name="moving")
        self._living = self._loop.create_task(self._live(), name="heart")
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._moving is not None:
            self._moving.cancel()
            await asyncio.wait([self._moving])
        if self._living is not None:
            self._loop.call_soon_threadsafe(self._living.cancel)
        await asyncio.to_thread(self._thread.join, _GOODBYE)
        if not self._thread.is_alive():
            self._loop.close()

    def say_goodbye(self) -> None:
        """Let the heart say from now on, and at once, that the agent is about to end."""
        self._is_stopping = True

        def beat() -> None:
            if self._heart is not None:
                self._heart.is_stopping = True
                self._heart.beat()

        self._loop.call_soon_threadsafe(beat)

    def _run(self) -> None:
        assert self._living is not None  # noqa: S101 # it comes before the thread
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._living)

    async def _live(self) -> None:
        while True:
            try:
                with telling_loss():
                    await self._beat()
            except LOST as error:
                log.warning("heart.waits", why=str(error))
                await asyncio.sleep(reconnect_interval())

    async def _beat(self) -> None:
        connection = await connect(self._url, name=f"{self._identity.agent_id} lives")
        async with connection, Publisher(connection) as publisher:
            while True:
                async with Heart(
                    publisher,
                    self._identity,
                    self._carrier,
                    body=self._body,
                    interval=self._interval,
                    clock=self._clock,
                    key=self._key,
                ) as self._heart:
                    self._heart.is_stopping = self._is_stopping
                    await self._until(is_stuck=True)
                self._heart = None
                log.error("agent.stuck", seconds=self._patience)
                await self._until(is_stuck=False)

    async def _until(self, *, is_stuck: bool) -> None:
        while (time.monotonic() - self._moved_at > self._patience) != is_stuck:  # noqa: ASYNC110 # another thread knows
            await asyncio.sleep(_LOOK)

    async def _move(self) -> None:
        """Show to the thread that the agent's own loop goes on."""
        while True:
            self._moved_at = time.monotonic()
            await asyncio.sleep(_LOOK)
