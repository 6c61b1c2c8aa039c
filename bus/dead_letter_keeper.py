"""The end of the line: dead letters are moved from their queue into the database, where they keep.

A queue can be emptied by anybody; a table can be searched, grouped and asked for the reason.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, cast

import orjson
import structlog

from bus.causes import cause_of, claims_of, shape_of, type_of
from bus.dead_letters import (
    DETAIL,
    DIED_AT,
    EXCHANGE,
    KEY,
    MESSAGE_ID,
    QUEUE,
    REASON,
    REDELIVERED,
    earlier_life,
)
from bus.messages import Delivery
from bus.ports import Clock, Source
from bus.senders import USER, sender_of
from domain.errors import Unavailable

log = structlog.get_logger(__name__)

_LONGEST = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that nobody could accept."""

    message_id: str
    reason: str
    detail: str
    exchange: str
    routing_key: str
    queue: str
    headers: Mapping[str, object]
    properties: Mapping[str, object]
    body: bytes
    died_at: datetime
    type: str
    """What it claims to be."""

    shape: str
    """The detail without what differs from letter to letter."""

    is_redelivered: bool
    """Whether its reader may have buried it before, and died of something else."""

    earlier: tuple[int, int] | None
    """Which letter it has been before, and for which time it was sent again."""

    @property
    def cause(self) -> str:
        """The group of the letters that died of the same."""
        return cause_of(
            reason=self.reason,
            shape=self.shape,
            exchange=self.exchange,
            queue=self.queue,
            type=self.type,
        )

    @property
    def fingerprint(self) -> str:
        """What tells one death from another: the same letter read twice has the same."""
        digest = hashlib.sha256(self.body)
        digest.update(orjson.dumps(self.headers, default=str, option=orjson.OPT_SORT_KEYS))
        digest.update(f"{self.message_id}/{self.routing_key}".encode())
        # What the inbox buries has an id of its own each time.
        digest.update(str(self.properties.get("message_id")).encode())
        return digest.hexdigest()


class DeadLetterStore(Protocol):
    """Where dead letters are kept."""

    async def keep(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters; those that are there already are passed over.

        A message that was delivered and buried twice is one letter. What dies again after it was
        sent again is the letter that it has been, not another one.

        Raises:
            Unavailable: Some may not be kept; keeping them again does no harm.
        """
        ...


class DeadLetterKeeper:
    """Empties the queue of the dead letters into the store."""

    def __init__(self, source: Source, store: DeadLetterStore, clock: Clock) -> None:
        self._source = source
        self._store = store
        self._clock = clock

    async def run(self) -> None:
        """Move dead letters until cancelled."""
        async for group in self._source.groups(100):
            now = self._clock.now()
            await self._insist([_letter_of(delivery, now) for delivery in group.deliveries])
            await group.ack()

    async def _insist(self, letters: Sequence[DeadLetter]) -> None:
        while True:
            try:
                return await self._store.keep(letters)
            except Unavailable as error:
                log.warning("dead_letters.wait", letters=len(letters), why=str(error))
                await asyncio.sleep(1)


def _letter_of(delivery: Delivery, now: datetime) -> DeadLetter:
    said = delivery.properties
    headers = dict(said.headers or {})
    headers.pop("x-delivery-count", None)
    headers[USER] = sender_of(said).user  # what a letter says of it may be anybody's word
    is_ours = REASON in headers
    origin = headers if is_ours else _last_death(headers)
    claims = claims_of(delivery.body)
    detail = _text(origin.get(DETAIL, ""))
    key = _text(origin.get(KEY, delivery.key))
    return DeadLetter(
        message_id=_text(headers.get(MESSAGE_ID, said.message_id or "")),
        reason=_text(origin.get(REASON, "unknown")),
        detail=detail,
        exchange=_text(origin.get(EXCHANGE, "")),
        routing_key=key,
        queue=_text(origin.get(QUEUE, "")),
        headers=_as_json(headers),
        properties=_as_json(
            {
                "content_type": said.content_type,
                "message_id": said.message_id,
                "content_encoding": said.content_encoding,
            }
        ),
        body=delivery.body,
        died_at=_died_at(headers, now),
        type=_text(type_of(claims, key)),
        shape=_text(shape_of(detail, claims)),
        is_redelivered=bool(headers.get(REDELIVERED)),
        earlier=earlier_life(headers),
    )


# Anybody may publish to the exchange of the dead: nothing in a letter is as it should be.


def _died_at(headers: Mapping[str, object], now: datetime) -> datetime:
    try:
        when = datetime.fromisoformat(str(headers.get(DIED_AT)))
    except ValueError:
        return now
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _text(value: object) -> str:
    # PostgreSQL keeps no NUL in a text, and no long one in an index.
    return str(value)[:_LONGEST].replace("\0", "\ufffd")


def _as_json(members: Mapping[str, object]) -> Mapping[str, object]:
    try:
        raw = orjson.dumps(members, default=str).replace(rb"\u0000", rb"\ufffd")
    except orjson.JSONEncodeError:  # nested too deeply
        return {"unreadable": _text(members)}
    return cast("Mapping[str, object]", orjson.loads(raw))


_BROKER_REASONS = {
    "rejected": ("rejected", "a consumer rejected it"),
    "expired": ("expired", "nobody took it in time"),
    "maxlen": ("queue-full", "the queue was full"),
    "delivery_limit": ("delivery-limit", "it came back too often: its readers keep failing on it"),
}


def _last_death(headers: Mapping[str, object]) -> dict[str, object]:
    """Return what the broker says of a message that it dead-lettered itself."""
    deaths = headers.get("x-death")
    first = cast("list[object]", deaths)[0] if isinstance(deaths, list) and deaths else None
    if not isinstance(first, dict):
        return {REASON: "unknown", DETAIL: "published to the dead letters without a reason"}
    death = cast("Mapping[str, object]", first)
    reason, detail = _BROKER_REASONS.get(
        str(death.get("reason")), (str(death.get("reason")), "dead-lettered by the broker")
    )
    keys = death.get("routing-keys")
    key = str(cast("Sequence[object]", keys)[0]) if isinstance(keys, list) and keys else ""
    return {
        REASON: reason,
        DETAIL: detail,
        EXCHANGE: str(death.get("exchange", "")),
        QUEUE: str(death.get("queue", "")),
        KEY: key,
    }
