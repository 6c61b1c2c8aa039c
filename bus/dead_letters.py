"""What a dead letter carries beside the message itself: why it is dead, and where it was going."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid4

from pamqp.common import FieldValue

from bus.connect import reconnect_interval
from bus.messages import LARGEST, Delivery, Message
from bus.ports import Clock, Sender
from bus.senders import on_behalf
from bus.signing import KEY_ID, SIGNATURE
from bus.topology import DEAD, HELD, REPORTS
from domain.errors import TaskloomError

REASON: Final = "x-taskloom-reason"
DETAIL: Final = "x-taskloom-detail"
EXCHANGE: Final = "x-taskloom-exchange"
KEY: Final = "x-taskloom-key"
QUEUE: Final = "x-taskloom-queue"
MESSAGE_ID: Final = "x-taskloom-message-id"
DIED_AT: Final = "x-taskloom-died-at"
REDELIVERED: Final = "x-taskloom-redelivered"
"""Whether the message was delivered before, and so may be a dead letter already."""

REDRIVE: Final = "x-taskloom-redrive"
"""Which letter a message has been before, and for which time it was sent again: ``17/2``."""


PROOFS: Final = (SIGNATURE, KEY_ID)
"""Headers that hold for a message as long as nobody changes it."""

_LONGEST_PROOF = 200
_LONGEST_DETAIL = 1_000
_LONGEST_REDRIVE = 40
_EARLIER = re.compile(r"([1-9]\d{0,17})/([1-9]\d{0,8})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a message was when it was refused."""

    exchange: str
    key: str
    queue: str


def dead_letter_headers(
    reason: str, detail: str, origin: Origin, *, said: Mapping[str, object] | None
) -> dict[str, str]:
    """Return the headers of a dead letter; ``reason`` is the stable code of what refused it.

    Of the headers that the message itself had, ``said``, only the one is kept that tells which
    letter it has been before.
    """
    headers = {
        REASON: reason,
        DETAIL: detail[:_LONGEST_DETAIL],
        EXCHANGE: origin.exchange,
        KEY: origin.key,
        QUEUE: origin.queue,
    }
    if said and isinstance(earlier := said.get(REDRIVE), str):
        headers[REDRIVE] = earlier[:_LONGEST_REDRIVE]
    return headers


def earlier_life(headers: Mapping[str, object] | None) -> tuple[int, int] | None:
    """Return which letter a message has been, and for which time it was sent again."""
    told = (headers or {}).get(REDRIVE)
    found = _EARLIER.fullmatch(told) if isinstance(told, str) else None
    return (int(found[1]), int(found[2])) if found else None


def carried(headers: Mapping[str, object] | None) -> dict[str, str]:
    """Return the headers that prove who signed a message, wherever it goes."""
    return {
        name: value[:_LONGEST_PROOF]
        for name in PROOFS
        if isinstance(value := (headers or {}).get(name), str)
    }


class DeadLetters:
    """Sends what was refused to ``taskloom.dead``, with the reason, and makes sure it arrives."""

    def __init__(
        self,
        sender: Sender,
        clock: Clock,
        *,
        new_id: Callable[[], str] = lambda: str(uuid4()),
        pause: Callable[[], float] = reconnect_interval,
    ) -> None:
        self._sender = sender
        self._clock = clock
        self._new_id = new_id
        self._pause = pause

    async def send(self, refused: Sequence[tuple[Delivery, TaskloomError]], *, queue: str) -> None:
        """Publish dead letters and return when the broker has taken charge of every one."""
        now = self._clock.now()
        owed = [
            # Two refused messages may share an id: what tells them apart is what they say.
            _letter(delivery, error, queue, message_id=self._new_id(), died_at=now)
            for delivery, error in refused
        ]
        while owed:
            outcomes = await self._sender.publish_all(owed)
            owed = [
                letter
                for letter, outcome in zip(owed, outcomes, strict=True)
                if outcome != "confirmed"
            ]
            if owed:
                await asyncio.sleep(self._pause())


def _letter(
    delivery: Delivery, error: TaskloomError, queue: str, *, message_id: str, died_at: datetime
) -> Message:
    # What was held was on its way to the recorder, as everything that is reported.
    exchange = REPORTS if delivery.exchange == HELD else delivery.exchange
    origin = Origin(exchange=exchange, key=delivery.key, queue=queue)
    said = delivery.properties
    headers: dict[str, FieldValue] = {
        **dead_letter_headers(error.code, str(error), origin, said=said.headers),
        **carried(said.headers),
        **on_behalf(said),
        DIED_AT: died_at.isoformat(),
        MESSAGE_ID: said.message_id or "",
    }
    if delivery.is_redelivered:
        headers[REDELIVERED] = True
    return Message(
        exchange=DEAD,
        key=delivery.key,
        body=delivery.body[:LARGEST],
        message_id=message_id,
        type="dead-letter",
        headers=headers,
        content_type=said.content_type or "",
        content_encoding=said.content_encoding,
    )
