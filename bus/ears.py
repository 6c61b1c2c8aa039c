"""Ears for heartbeats, and whether they hear: what one says oneself has to come back.

Silence means something only to who can hear. While the broker is away, or takes nothing more from
who publishes, or this process stands still, nobody is heard, and nobody is gone for that.
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final
from uuid import uuid4

from aio_pika import RobustConnection

from bus.heartbeats import Believing, Hear, listen
from bus.messages import Delivery, Message, Outcome
from bus.ports import Sender
from bus.signals import ECHO, Heartbeat
from bus.together import run_together
from bus.topology import SIGNALS

INTERVAL: Final = 0.2
"""Seconds between two words to oneself."""


class Ears:
    """Listens all the time, and tells whoever listens just now."""

    def __init__(self, sender: Sender, *, believing: Believing | None = None) -> None:
        """Take how to talk to oneself, and whom to believe."""
        self._sender = sender
        self._believing = believing or Believing()
        self._voice = uuid4().hex.encode()
        self._words = 0
        self._hearers: tuple[Hear, ...] = ()
        self._echo: Callable[[], None] | None = None

    async def open(self, connection: RobustConnection) -> None:
        """Begin to listen over a connection."""
        await listen(connection, self._hear, believing=self._believing, echo=self._hear_echo)

    @contextmanager
    def listening(self, *hearers: Hear, echo: Callable[[], None]) -> Generator[None]:
        """Tell every heartbeat, and every word to oneself that has come back."""
        self._hearers, self._echo = hearers, echo
        try:
            yield
        finally:
            self._hearers, self._echo = (), None

    async def run(self) -> None:
        """Believe, and talk to oneself, until cancelled."""
        await run_together(self._believing.run(), self._talk())

    async def _talk(self) -> None:
        """Say one word after the other; while nothing is taken, one waits and no more."""
        while True:
            said = self._say()
            await asyncio.sleep(INTERVAL)
            await said

    def _say(self) -> asyncio.Future[Outcome]:
        self._words += 1
        return self._sender.send(
            Message(
                exchange=SIGNALS,
                key=ECHO,
                body=self._voice,
                message_id=f"{self._voice.decode()}/{self._words}",
                type=ECHO,
                content_type="text/plain",
                mandatory=False,
                is_persistent=False,
            )
        )

    def _hear(self, heartbeat: Heartbeat) -> None:
        for hear in self._hearers:
            hear(heartbeat)

    def _hear_echo(self, delivery: Delivery) -> None:
        if delivery.body == self._voice and self._echo is not None:
            self._echo()
