"""Hears heartbeats, and no others than are for their senders to say.

The broker vouches for the type of agents that a heartbeat comes from, a signature for the agent.
What is not believed is not answered either: a heartbeat is a signal, and makes no dead letter.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias

import structlog
from aio_pika import RobustConnection

from bus.listening import Arrive, listen_to
from bus.messages import Delivery
from bus.refusals import BadSignature, MissingSignature, ReplacedKey, Unreadable
from bus.senders import may_speak_for
from bus.signals import ECHO, HEARTBEAT, Heartbeat, decode_heartbeat
from bus.signatures import Signatures
from bus.signing import Said
from domain.errors import Unavailable

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 16 * 1024 * 1024
"""Bytes of heartbeats that may wait until it is known whose key has signed them."""

PATIENCE: Final = 0.3
"""Seconds that they wait for the database: it must not cost an agent its leases."""

Hear: TypeAlias = Callable[[Heartbeat], None]


class Believing:
    """Tells the heartbeats of agents from those that others say in their name."""

    def __init__(
        self, *, requires_user: bool = False, signatures: Signatures | None = None
    ) -> None:
        """``requires_user`` believes nobody who does not say which user of the broker they are.

        Without ``signatures``, none is looked at.
        """
        self._requires_user = requires_user
        self._signatures = signatures
        self._waiting: list[tuple[Heartbeat, Said, Hear]] = []
        self._waiting_bytes = 0
        self._something = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None

    def hear(self, delivery: Delivery, hear: Hear) -> None:
        """Have a heartbeat heard that is its agent's: at once, where the key is at hand."""
        try:
            heartbeat = decode_heartbeat(delivery.body)
        except Unreadable as refusal:
            log.warning("signals.unreadable", code=refusal.code, why=str(refusal))
            return
        user, requires_user = delivery.properties.user_id or "", self._requires_user
        kind = (heartbeat.role, heartbeat.agent_type)
        if not may_speak_for(user, *kind, requires_user=requires_user):
            log.warning("signals.foreign", user=user, agent=heartbeat.agent_id)
            return
        if self._signatures is None:
            hear(heartbeat)
            return
        said = Said(
            message_id=delivery.properties.message_id or "",
            body=heartbeat,
            sent=delivery.body,
            headers=delivery.properties.headers,
        )
        if not said.key_id or self._signatures.has_at_hand(said.key_id):
            self._believe(self._signatures, heartbeat, said, hear)
        elif self._waiting_bytes < MOST_WAITING:
            self._waiting.append((heartbeat, said, hear))
            self._waiting_bytes += len(said.sent)
            self._something.set()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        self._take()  # what came while nobody looked is no news
        try:
            while True:
                await self._something.wait()
                self._something.clear()
                await self.look()
        finally:
            if self._asking is not None:
                self._asking.cancel()

    async def look(self) -> None:
        """Look up whose keys have signed what waits, and have heard what is believed."""
        group, signatures = self._take(), self._signatures
        if signatures is None or not group:
            return
        await self._ask(signatures, {said.key_id for _, said, _ in group})
        for heartbeat, said, hear in group:
            self._believe(signatures, heartbeat, said, hear)

    def _take(self) -> list[tuple[Heartbeat, Said, Hear]]:
        taken, self._waiting, self._waiting_bytes = self._waiting, [], 0
        return taken

    async def _ask(self, signatures: Signatures, key_ids: set[str]) -> None:
        """Ask for keys, one question at a time; whoever answers late is heard the next time.

        What was known counts on: an agent must not lose its work for a silent database.
        """
        if self._asking is None:
            self._asking = asyncio.create_task(signatures.look_up(key_ids), name="keys")
        await asyncio.wait((self._asking,), timeout=PATIENCE)
        if not self._asking.done():
            log.warning("signals.keys_wait", why=f"no answer within {PATIENCE:g} s")
            return
        asked, self._asking = self._asking, None
        try:
            asked.result()
        except Unavailable as error:
            log.warning("signals.keys_wait", why=str(error))

    @staticmethod
    def _believe(signatures: Signatures, heartbeat: Heartbeat, said: Said, hear: Hear) -> None:
        try:
            signatures.signer_of(said)
        except (BadSignature, MissingSignature, ReplacedKey) as refusal:
            agent = heartbeat.agent_id
            log.warning("signals.refused", code=refusal.code, agent=agent, why=str(refusal))
        else:
            hear(heartbeat)


async def listen(
    connection: RobustConnection,
    hear: Hear,
    *,
    believing: Believing | None = None,
    echo: Arrive | None = None,
) -> None:
    """Hear every heartbeat from now on, until the connection is closed for good.

    Without ``believing`` only agents of one type are not heard that speak for another one.
    ``echo`` hears what is said there only to know that one hears.
    """
    believed = believing or Believing()
    heard: dict[str, Arrive] = {HEARTBEAT: lambda delivery: believed.hear(delivery, hear)}
    if echo is not None:
        heard[ECHO] = echo
    await listen_to(heard, connection=connection)
