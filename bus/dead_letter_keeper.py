"""The end of the line: dead letters are moved from their queue into the database, where they keep.

A queue can be emptied by anybody; a table can be searched, grouped and asked for the reason.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, cast

import orjson

from bus.consuming import Consumer, Delivery
from bus.dead_letters import DETAIL, DIED_AT, EXCHANGE, KEY, MESSAGE_ID, QUEUE, REASON


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

    @property
    def fingerprint(self) -> str:
        """What tells one death from another: the same letter read twice has the same."""
        digest = hashlib.sha256(self.body)
        digest.update(orjson.dumps(self.headers, default=str, option=orjson.OPT_SORT_KEYS))
        digest.update(f"{self.message_id}/{self.routing_key}".encode())
        return digest.hexdigest()


class DeadLetterStore(Protocol):
    """Where dead letters are kept."""

    async def keep(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters; those that are there already are passed over."""
        ...


class DeadLetterKeeper:
    """Empties the queue of the dead letters into the store."""

    def __init__(self, consumer: Consumer, store: DeadLetterStore) -> None:
        self._consumer = consumer
        self._store = store

    async def run(self) -> None:
        """Move dead letters until cancelled."""
        async for group in self._consumer.groups(100):
            await self._store.keep([_letter_of(delivery) for delivery in group.deliveries])
            await group.ack()


def _letter_of(delivery: Delivery) -> DeadLetter:
    said = delivery.properties
    headers = dict(said.headers or {})
    headers.pop("x-delivery-count", None)
    is_ours = REASON in headers
    origin = headers if is_ours else _last_death(headers)
    died_at = datetime.now(UTC)
    if isinstance(when := headers.get(DIED_AT), str):
        died_at = datetime.fromisoformat(when)
    return DeadLetter(
        message_id=str(headers.get(MESSAGE_ID) or said.message_id or ""),
        reason=str(origin.get(REASON, "unknown")),
        detail=str(origin.get(DETAIL, "")),
        exchange=str(origin.get(EXCHANGE, "")),
        routing_key=str(origin.get(KEY, delivery.key)),
        queue=str(origin.get(QUEUE, "")),
        headers=cast("Mapping[str, object]", orjson.loads(orjson.dumps(headers, default=str))),
        properties={
            "content_type": said.content_type,
            "message_id": said.message_id,
            "content_encoding": said.content_encoding,
        },
        body=delivery.body,
        died_at=died_at,
    )


_BROKER_REASONS = {
    "rejected": ("rejected", "a consumer rejected it"),
    "expired": ("expired", "nobody took it in time"),
    "maxlen": ("queue-full", "the queue was full"),
    "delivery_limit": ("delivery-limit", "it came back too often: its readers keep failing on it"),
}


def _last_death(headers: Mapping[str, object]) -> dict[str, object]:
    """Return what the broker says of a message that it dead-lettered itself."""
    deaths = headers.get("x-death")
    if not isinstance(deaths, list) or not deaths:
        return {REASON: "unknown", DETAIL: "published to the dead letters without a reason"}
    death = cast("Mapping[str, object]", deaths[0])
    reason, detail = _BROKER_REASONS.get(
        str(death.get("reason")), (str(death.get("reason")), "dead-lettered by the broker")
    )
    keys = cast("Sequence[object]", death.get("routing-keys") or [""])
    return {
        REASON: reason,
        DETAIL: detail,
        EXCHANGE: str(death.get("exchange", "")),
        QUEUE: str(death.get("queue", "")),
        KEY: str(keys[0]),
    }
