"""Hears heartbeats, and no others than are for their senders to say.

The broker vouches for the type of agents that a heartbeat comes from, a signature for the agent.
What is not believed is not answered either: a heartbeat is a signal, and makes no dead letter.
"""

import asyncio
from collections import deque
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

MOST_WAITING: Final = 10_000
"""Heartbeats that may wait until it is known whose key has signed them."""

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
        self._waiting: deque[tuple[Heartbeat, Said, Hear]] = deque(maxlen=MOST_WAITING)
        self._something = asyncio.Event()

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
        else:
            self._waiting.append((heartbeat, said, hear))
            self._something.set()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        self._waiting.clear()  # what came while nobody looked is no news
        while True:
            await self._something.wait()
            self._something.clear()
            await self.look()

    async def look(self) -> None:
        """Look up whose keys have signed what waits, and have heard what is believed."""
        group = list(self._waiting)
        self._waiting.clear()
        signatures = self._signatures
        if signatures is None or not group:
            return
        try:
            await signatures.look_up(said.key_id for _, said, _ in group)
        except Unavailable as error:
            # What was known counts on: an agent must not lose its work for a silent database.
            log.warning("signals.keys_wait", why=str(error))
        for heartbeat, said, hear in group:
            self._believe(signatures, heartbeat, said, hear)

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
