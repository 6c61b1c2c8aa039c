"""Reading and editing the properties of a message as the bytes they travel in.

The broker passes properties on untouched. Where it has to read or to change one, it cuts the bytes
at the fields and leaves all others as they came: decoding and encoding them again would lose the
width of numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pamqp import decode, encode

from bus.embedded.errors import ConnectionRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pamqp.common import FieldTable, FieldValue

HEADERS: Final = 0x2000
PRIORITY: Final = 0x0800
REPLY_TO: Final = 0x0200
EXPIRATION: Final = 0x0100
USER_ID: Final = 0x0010

_SHORT_STRING: Final = -1
_TABLE: Final = -4
_FIELDS: Final = (
    (0x8000, _SHORT_STRING),  # content_type
    (0x4000, _SHORT_STRING),  # content_encoding
    (HEADERS, _TABLE),
    (0x1000, 1),  # delivery_mode
    (PRIORITY, 1),
    (0x0400, _SHORT_STRING),  # correlation_id
    (REPLY_TO, _SHORT_STRING),
    (EXPIRATION, _SHORT_STRING),
    (0x0080, _SHORT_STRING),  # message_id
    (0x0040, 8),  # timestamp
    (0x0020, _SHORT_STRING),  # type
    (USER_ID, _SHORT_STRING),
    (0x0008, _SHORT_STRING),  # app_id
    (0x0004, _SHORT_STRING),  # cluster_id
)
_FIXED: Final = {
    **dict.fromkeys(b"tbB", 1),
    **dict.fromkeys(b"sUu", 2),
    **dict.fromkeys(b"Iif", 4),
    **dict.fromkeys(b"lLdT", 8),
    ord("D"): 5,
    ord("V"): 0,
}
_SIZED: Final = frozenset(b"SAFx")


def flags_of(properties: bytes) -> int:
    """Say which fields are present, as the flag bits of AMQP."""
    return int.from_bytes(properties[:2])


def fields_of(properties: bytes) -> dict[int, bytes]:
    """Cut properties into their fields, by flag.

    Raises:
        ConnectionRefused: The bytes end before the fields do.
    """
    flags = flags_of(properties)
    if flags & 1:
        raise ConnectionRefused(502, "content header carries unknown property flags")
    fields: dict[int, bytes] = {}
    at = 2
    for flag, width in _FIELDS:
        if not flags & flag:
            continue
        if width == _SHORT_STRING:
            end = at + 1 + properties[at] if at < len(properties) else at + 1
        elif width == _TABLE:
            end = at + 4 + int.from_bytes(properties[at : at + 4])
        else:
            end = at + width
        if end > len(properties):
            raise ConnectionRefused(502, "content header ends inside its properties")
        fields[flag] = properties[at:end]
        at = end
    return fields


def joined(fields: Mapping[int, bytes]) -> bytes:
    """Put fields together again."""
    flags = 0
    parts = [b""]
    for flag, _ in _FIELDS:
        if (field := fields.get(flag)) is not None:
            flags |= flag
            parts.append(field)
    parts[0] = flags.to_bytes(2)
    return b"".join(parts)


def text(field: bytes) -> str:
    """Read a short string field."""
    return field[1:].decode(errors="surrogateescape")


def short_string(value: str) -> bytes:
    """Write a short string field."""
    encoded = value.encode(errors="surrogateescape")
    return bytes((len(encoded),)) + encoded


def headers_of(properties: bytes) -> FieldTable:
    """Read the headers of a message; a table nobody can read has none."""
    if not flags_of(properties) & HEADERS:
        return {}
    try:
        return decode.field_table(fields_of(properties)[HEADERS])[1]
    except (ValueError, OverflowError, OSError):
        return {}


def with_headers(table: bytes, values: Mapping[str, FieldValue]) -> bytes:
    """Set some headers in an encoded table and keep the others as they are; None takes one out."""
    kept = [entry for name, entry in _entries(table) if name not in values]
    added = [
        short_string(name) + encode.encode_table_value(value)
        for name, value in values.items()
        if value is not None
    ]
    inner = b"".join(kept + added)
    return len(inner).to_bytes(4) + inner


def _entries(table: bytes) -> list[tuple[str, bytes]]:
    entries: list[tuple[str, bytes]] = []
    at, end = 4, len(table)
    try:
        while at < end:
            start = at
            at += 1 + table[at]
            name = table[start + 1 : at].decode(errors="surrogateescape")
            kind = table[at]
            at += 1
            if kind in _SIZED:
                at += 4 + int.from_bytes(table[at : at + 4])
            else:
                at += _FIXED[kind]
            entries.append((name, table[start:at]))
    except (IndexError, KeyError):
        return []
    return entries
