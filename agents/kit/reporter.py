"""Says what happened, and insists until the broker has taken charge of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

from agents.kit.identity import Identity
from bus.dead_letters import Origin, dead_letter_headers
from bus.encodings import deflate
from bus.envelope import agent_actor, encode_report, type_of
from bus.lost import LOST, telling_loss
from bus.messages import Message
from bus.ports import Clock, Sender
from bus.signing import Said, SigningKey, signature_headers
from bus.topology import DEAD, REPORTS
from domain.deciders import stream_of
from domain.errors import Refused
from domain.policies import AnyReport
from domain.recorded import Recorded, Report, derived_id
from domain.values import Value

log = structlog.get_logger(__name__)

Restore = Callable[[], Awaitable[None]]
"""Makes the broker have what reports need, in case somebody took it away."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_RESTORED_RECENTLY = 1.0


LARGE: Final = 4_096
"""Bytes from which on compressing a report is worth it."""


class Reporter:
    """One agent's voice.

    Nothing that was done is forgotten: a report is repeated, always with the same id, until it is
    confirmed or the process ends.
    """

    def __init__(
        self,
        sender: Sender,
        identity: Identity,
        *,
        restore: Restore,
        clock: Clock,
        key: SigningKey | None = None,
    ) -> None:
        """Take where to say it; ``key`` signs every report."""
        self._key = key
        self.compresses = False
        """Whether large reports go as gzip: only after a registration has said so."""

        self._sender = sender
        self._identity = identity
        self._restore = restore
        self._clock = clock
        self._restoring = asyncio.Lock()
        self._restored_at = float("-inf")

    def report(
        self, body: AnyReport, *, origin: str, because: Recorded[Value] | None = None
    ) -> Message:
        """Return a report as a message; ``origin`` is what it is the only report of its type on."""
        report_id = derived_id(origin, f"{type_of(body)}/{self._identity.instance}")
        report = Report(
            id=report_id,
            stream=stream_of(body),
            body=body,
            said_at=self._clock.now(),
            actor=agent_actor(self._identity.agent_id),
            correlation_id=because.correlation_id if because else report_id,
            causation_id=because.id if because else None,
            traceparent=because.traceparent if because else None,
        )
        sent, encoding = encode_report(report), None
        if self.compresses and len(sent) >= LARGE and (packed := deflate(sent)) is not None:
            sent, encoding = packed, "gzip"
        said = Said(message_id=report_id, body=body, sent=sent)
        return Message(
            exchange=REPORTS,
            key=type_of(body),
            body=sent,
            message_id=report_id,
            type=type_of(body),
            headers=None if self._key is None else signature_headers(self._key, said),
            content_encoding=encoding,
        )

    async def insist(self, message: Message) -> None:
        """Publish a message, and return when it is confirmed."""
        pause = _FIRST_PAUSE
        while (outcome := await self._sender.send(message)) != "confirmed":
            log.warning("report.repeat", type=message.type, id=message.message_id, outcome=outcome)
            await self._restore_once()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def bury(
        self,
        refusal: Refused,
        origin: Origin,
        *,
        body: bytes,
        message_id: str,
        said: Mapping[str, object],
    ) -> None:
        """Make a message a dead letter with its reason; ``said`` are the headers it had."""
        log.warning("work.refused", code=refusal.code, why=str(refusal), queue=origin.queue)
        await self.insist(
            Message(
                exchange=DEAD,
                key=origin.key,
                body=body,
                message_id=message_id,
                type="dead.letter",
                headers=dead_letter_headers(refusal.code, str(refusal), origin, said=said),
            )
        )

    async def _restore_once(self) -> None:
        """Restore for all who wait together, not once for each."""
        loop = asyncio.get_running_loop()
        async with self._restoring:
            if loop.time() - self._restored_at < _RESTORED_RECENTLY:
                return
            try:
                async with asyncio.timeout(_LONGEST_PAUSE):
                    with telling_loss():
                        await self._restore()
            except LOST as error:
                log.warning("topology.wait", why=str(error))
            self._restored_at = loop.time()
