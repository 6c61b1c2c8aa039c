"""What a message becomes when it dies: the history RabbitMQ writes into its headers."""

from __future__ import annotations

import struct
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
    table = fields.get(HEADERS, b"\0\0\0\0")
    copies = headers.get("CC")
    keys: list[FieldValue] = [message.routing_key, *(copies if isinstance(copies, list) else [])]
    death: FieldTable = {
        "count": 1,
        "reason": reason,
        "queue": queue,
        "time": datetime.now(UTC),
        "exchange": message.exchange,
        "routing-keys": keys,
    }
    if EXPIRATION in fields:
        death["original-expiration"] = text(fields.pop(EXPIRATION))
    dropped: FieldTable = {} if routing_key is None else {"CC": None}
    try:
        fields[HEADERS] = with_headers(table, _history(_deaths(headers), death) | dropped)
    except (TypeError, ValueError, OverflowError, struct.error):
        # deaths that a client made up, and that cannot be written: they are not history
        fields[HEADERS] = with_headers(table, _history([], death) | dropped)
    keys_after = message.keys if routing_key is None else (routing_key,)
    return Message(exchange, keys_after[0], joined(fields), message.body, keys_after[1:])


def _history(deaths: list[FieldTable], death: FieldTable) -> FieldTable:
    if not deaths:
        return {
            "x-first-death-exchange": death["exchange"],
            "x-first-death-queue": death["queue"],
            "x-first-death-reason": death["reason"],
            "x-death": [death],
        }
    kind = (death["queue"], death["reason"])
    before = next((one for one in deaths if (one.get("queue"), one.get("reason")) == kind), None)
    others: list[FieldValue] = [one for one in deaths if one is not before]
    if before is not None:
        count = before.get("count")
        death = before | {"count": count + 1 if isinstance(count, int) else 1}
    return {"x-death": [death, *others]}


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
