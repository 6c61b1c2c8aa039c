"""Messages, and a message's place in a queue."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from bus.embedded.errors import ChannelRefused
from bus.embedded.properties import (
    EXPIRATION,
    HEADERS,
    PRIORITY,
    fields_of,
    flags_of,
    headers_of,
    joined,
    short_string,
    text,
    with_headers,
)

NEVER: Final = math.inf
OVERHEAD: Final = 512  # bytes of Python objects per message, so that empty ones count too


@dataclass(slots=True, eq=False)
class Message:
    """What was published: immutable, and shared by all queues that hold it."""

    exchange: str
    routing_key: str
    properties: bytes
    body: bytes
    copies: tuple[str, ...] = ()
    address: bytes = field(init=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.address = short_string(self.exchange) + short_string(self.routing_key)
        self.size = len(self.body) + len(self.properties) + OVERHEAD

    @property
    def keys(self) -> tuple[str, ...]:
        """The routing key, then those of the CC and BCC headers."""
        return (self.routing_key, *self.copies)

    @property
    def priority(self) -> int:
        """The priority its sender gave it, 0 if none."""
        if not flags_of(self.properties) & PRIORITY:
            return 0
        return fields_of(self.properties)[PRIORITY][0]

    @property
    def lifetime(self) -> float:
        """Seconds this message may wait in a queue.

        Raises:
            ChannelRefused: The expiration is not a number of milliseconds.
        """
        if not flags_of(self.properties) & EXPIRATION:
            return NEVER
        expiration = text(fields_of(self.properties)[EXPIRATION])
        if not (expiration.isascii() and expiration.isdigit()):
            raise ChannelRefused(406, f"invalid expiration '{expiration}': not an integer")
        return int(expiration) / 1000

    def counted(self, returns: int) -> bytes:
        """Return the properties with the header that says how often it came back."""
        fields = fields_of(self.properties)
        table = fields.get(HEADERS, b"\0\0\0\0")
        fields[HEADERS] = with_headers(table, {"x-delivery-count": returns})
        return joined(fields)


@dataclass(slots=True, eq=False)
class Entry:
    """A message's place in one queue."""

    message: Message
    sequence: int
    expires_at: float
    lane: int = 0
    returns: int = 0
    is_redelivered: bool = False


def copied_to(properties: bytes) -> tuple[tuple[str, ...], bytes]:
    """Read the further routing keys of CC and BCC, and take out BCC, which nobody may see.

    Raises:
        ChannelRefused: One of the two headers is not a list of strings.
    """
    if b"CC" not in properties or not flags_of(properties) & HEADERS:
        return (), properties
    headers = headers_of(properties)
    copies: list[str] = []
    for name in ("CC", "BCC"):
        routes = headers.get(name, [])
        if not isinstance(routes, list):
            raise ChannelRefused(406, f"invalid {name} header: not an array of long strings")
        for route in routes:
            if not isinstance(route, str):
                raise ChannelRefused(406, f"invalid {name} header: not an array of long strings")
            copies.append(route)
    if "BCC" in headers:
        fields = fields_of(properties)
        fields[HEADERS] = with_headers(fields[HEADERS], {"BCC": None})
        properties = joined(fields)
    return tuple(copies), properties
