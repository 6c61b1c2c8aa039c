"""What a message becomes when it dies: the history RabbitMQ writes into its headers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bus.embedded.messages import Message
from bus.embedded.properties import (
    EXPIRATION,
    HEADERS,
    fields_of,
    headers_of,
    joined,
    text,
    with_headers,
)

if TYPE_CHECKING:
    from pamqp.common import FieldTable, FieldValue


def died(
    message: Message, *, queue: str, reason: str, exchange: str, routing_key: str | None
) -> Message:
    """Return the message as it leaves for the dead-letter exchange."""
    fields = fields_of(message.properties)
    headers = headers_of(message.properties)
    deaths = _deaths(headers)
    history: FieldTable = {}
    if not deaths:
        history["x-first-death-exchange"] = message.exchange
        history["x-first-death-queue"] = queue
        history["x-first-death-reason"] = reason
    death: FieldTable | None = next((each for each in deaths if _is(each, queue, reason)), None)
    if death is None:
        keys: list[FieldValue] = [message.routing_key, *_copies(headers)]
        death = {
            "count": 0,
            "reason": reason,
            "queue": queue,
            "time": datetime.now(UTC),
            "exchange": message.exchange,
            "routing-keys": keys,
        }
        if EXPIRATION in fields:
            death["original-expiration"] = text(fields[EXPIRATION])
    else:
        deaths.remove(death)
    count = death.get("count")
    death["count"] = count + 1 if isinstance(count, int) else 1
    deaths.insert(0, death)
    history["x-death"] = [*deaths]
    if routing_key is not None:
        history["CC"] = None
    fields[HEADERS] = with_headers(fields.get(HEADERS, b"\0\0\0\0"), history)
    fields.pop(EXPIRATION, None)
    keys_after = message.keys if routing_key is None else (routing_key,)
    return Message(exchange, keys_after[0], joined(fields), message.body, keys_after[1:])


def is_cycle(message: Message, queue: str) -> bool:
    """Say whether a dead message came round to a queue by itself, without a consumer's reject."""
    cycle: list[FieldTable] = []
    for death in _deaths(headers_of(message.properties)):
        cycle.append(death)
        if death.get("queue") == queue:
            return all(each.get("reason") != "rejected" for each in cycle)
    return False


def _deaths(headers: FieldTable) -> list[FieldTable]:
    deaths = headers.get("x-death")
    if not isinstance(deaths, list):
        return []
    return [death for death in deaths if isinstance(death, dict)]


def _is(death: FieldTable, queue: str, reason: str) -> bool:
    return death.get("queue") == queue and death.get("reason") == reason


def _copies(headers: FieldTable) -> list[FieldValue]:
    copies = headers.get("CC")
    return list(copies) if isinstance(copies, list) else []
