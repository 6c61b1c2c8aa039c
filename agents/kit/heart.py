"""Shows that an agent lives, and renews the leases of what it has in hand."""

import asyncio
from typing import Protocol, Self

from agents.kit.carrier import Carrier
from agents.kit.identity import Identity
from bus.messages import Outcome
from bus.ports import Clock, Sender
from bus.signals import Heartbeat, encode_heartbeat
from bus.signing import SigningKey
from domain.agent import Lifecycle


class Body(Protocol):
    """What an agent's process costs the machine."""

    def cpu(self) -> float:
        """Return the share of one processor that was used since the last call."""
        ...

    def memory(self) -> int:
        """Return the bytes of memory that are in use."""
        ...


class Heart:
    """Beats at a fixed interval; a beat that nobody hears is not repeated."""

    def __init__(
        self,
        sender: Sender,
        identity: Identity,
        carrier: Carrier,
        *,
        body: Body,
        interval: float,
        clock: Clock,
        key: SigningKey | None = None,
    ) -> None:
        """Take what it speaks of; ``interval`` is in seconds, ``key`` signs every heartbeat."""
        self._key = key
        self._sender = sender
        self._identity = identity
        self._carrier = carrier
        self._interval = interval
        self._clock = clock
        self._body = body
        self._beats = 0
        self._beating: asyncio.Task[None] | None = None
        self.is_stopping = False

    async def __aenter__(self) -> Self:
        self._body.cpu()  # the first answer means nothing
        self._beating = asyncio.create_task(self._beat_on(), name="heart")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])
            self._beating = None

    def beat(self) -> asyncio.Future[Outcome]:
        """Send one heartbeat now."""
        self._beats += 1
        message_id = f"{self._identity.instance}/{self._beats}"
        return self._sender.send(
            encode_heartbeat(self._heartbeat(), message_id=message_id, key=self._key)
        )

    async def _beat_on(self) -> None:
        while True:
            sent = self.beat()
            await asyncio.sleep(self._interval)
            await sent  # while the broker is away, one beat waits and no more

    def _heartbeat(self) -> Heartbeat:
        gate = self._carrier.gate
        return Heartbeat(
            agent_id=self._identity.agent_id,
            agent_type=self._identity.agent_type,
            role=self._identity.role,
            instance=self._identity.instance,
            lifecycle=self._lifecycle(),
            load=gate.taken / gate.places,
            at=self._clock.now(),
            cpu=self._body.cpu(),
            memory_bytes=self._body.memory(),
            tasks=self._carrier.in_hand(),
            completed=self._carrier.completed,
            failed=self._carrier.failed,
            faults=self._carrier.faults,
            busy_seconds=self._carrier.busy_seconds,
            interval=self._interval,
            dependencies=self._carrier.dependencies.lacking(),
        )

    def _lifecycle(self) -> Lifecycle:
        if self.is_stopping:
            return "shutdown"
        return "working" if self._carrier.gate.taken else "ready"
