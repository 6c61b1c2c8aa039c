"""Messages on their way out, and as they arrive."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pamqp.common import FieldValue

from bus.envelope import CONTENT_TYPE
from bus.properties import Properties

Outcome = Literal["confirmed", "unroutable", "nacked", "unknown"]
"""What became of a message; of an unknown one the broker may or may not have taken charge."""

LARGEST: Final = 16 * 1024 * 1024
"""Bytes that a broker takes in one message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message on its way out."""

    exchange: str
    key: str
    body: bytes
    message_id: str
    type: str
    headers: Mapping[str, FieldValue] | None = None
    content_type: str = CONTENT_TYPE
    content_encoding: str | None = None
    mandatory: bool = True
    """Whether it is an error that no queue takes it."""

    is_persistent: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message as the broker delivered it."""

    body: bytes
    tag: int
    exchange: str
    key: str
    is_redelivered: bool
    properties: Properties


def arrived(message: Message, *, tag: int = 0) -> Delivery:
    """Return a message as its reader would be given it."""
    return Delivery(
        body=message.body,
        tag=tag,
        exchange=message.exchange,
        key=message.key,
        is_redelivered=False,
        properties=Properties(
            content_type=message.content_type,
            message_id=message.message_id,
            content_encoding=message.content_encoding,
            headers=message.headers,
        ),
    )
