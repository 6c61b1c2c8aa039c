"""The frames that travel with every message, encoded by hand because they are the hot path."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from pamqp import constants, frame
from pamqp.base import Frame

from bus.embedded.errors import ConnectionRefused

METHOD: Final = constants.FRAME_METHOD
HEADER: Final = constants.FRAME_HEADER
BODY: Final = constants.FRAME_BODY
HEARTBEAT: Final = constants.FRAME_HEARTBEAT
END: Final = constants.FRAME_END_CHAR
END_BYTE: Final = constants.FRAME_END
ENVELOPE: Final = Struct(">BHI")  # type, channel, size
EMPTY_FRAME: Final = ENVELOPE.size + 1

EXCHANGE: Final = 40  # class ids
QUEUE: Final = 50

PUBLISH: Final = 0x003C0028
DELIVER: Final = 0x003C003C
GET_OK: Final = 0x003C0047
ACK: Final = 0x003C0050
REJECT: Final = 0x003C005A
NACK: Final = 0x003C0078

_SETTLE = Struct(">QB")
_CONTENT = Struct(">HHQ")
_CONFIRM = Struct(">BHIIQBB")
_TAG = Struct(">QB")
_METHOD_ID = Struct(">I")


@dataclass(slots=True)
class Publish:
    """A basic.publish whose content has not arrived in full."""

    exchange: str
    routing_key: str
    is_mandatory: bool
    is_immediate: bool


def read_publish(arguments: bytes) -> Publish:
    """Decode a basic.publish, past its method id."""
    end = 7 + arguments[6]
    exchange = arguments[7:end].decode(errors="surrogateescape")
    bits = end + 1 + arguments[end]
    routing_key = arguments[end + 1 : bits].decode(errors="surrogateescape")
    return Publish(exchange, routing_key, bool(arguments[bits] & 1), bool(arguments[bits] & 2))


def read_settlement(arguments: bytes) -> tuple[int, int]:
    """Decode basic.ack, nack or reject, past its method id: the delivery tag and the bits."""
    tag, bits = _SETTLE.unpack_from(arguments, 4)
    return tag, bits


def read_content_header(arguments: bytes) -> tuple[int, bytes]:
    """Decode a content header: the size of the body and the raw properties."""
    _, _, size = _CONTENT.unpack_from(arguments)
    return size, arguments[_CONTENT.size :]


def content(channel: int, properties: bytes, body: bytes, frame_max: int) -> bytes:
    """Encode header and body, the body in as many frames as it takes."""
    size = len(body)
    parts = [
        ENVELOPE.pack(HEADER, channel, _CONTENT.size + len(properties)),
        _CONTENT.pack(60, 0, size),
        properties,
        END,
    ]
    room = frame_max - EMPTY_FRAME
    if size <= room:
        if size:
            parts += (ENVELOPE.pack(BODY, channel, size), body, END)
    else:
        for at in range(0, size, room):
            piece = body[at : at + room]
            parts += (ENVELOPE.pack(BODY, channel, len(piece)), piece, END)
    return b"".join(parts)


def deliver(channel: int, prefix: bytes, tag: int, redelivered: int, address: bytes) -> bytes:
    """Encode a basic.deliver; the prefix is the method id and the consumer's tag."""
    size = len(prefix) + _TAG.size + len(address)
    return b"".join(
        (ENVELOPE.pack(METHOD, channel, size), prefix, _TAG.pack(tag, redelivered), address, END)
    )


def deliver_prefix(tag: bytes) -> bytes:
    """Encode what all deliveries to one consumer begin with."""
    return _METHOD_ID.pack(DELIVER) + tag


def get_ok(channel: int, tag: int, redelivered: int, address: bytes, remaining: int) -> bytes:
    """Encode a basic.get-ok."""
    arguments = _TAG.pack(tag, redelivered) + address + _METHOD_ID.pack(remaining)
    return b"".join(
        (
            ENVELOPE.pack(METHOD, channel, 4 + len(arguments)),
            _METHOD_ID.pack(GET_OK),
            arguments,
            END,
        )
    )


def confirm(channel: int, method: int, tag: int, *, multiple: bool) -> bytes:
    """Encode the broker's basic.ack or basic.nack of published messages."""
    return _CONFIRM.pack(METHOD, channel, 13, method, tag, multiple, END_BYTE)


def decoded(arguments: bytes) -> Frame:
    """Decode a method off the hot path.

    Raises:
        ConnectionRefused: It cannot be decoded.
    """
    framed = ENVELOPE.pack(METHOD, 0, len(arguments)) + arguments + END
    try:
        command = frame.unmarshal(framed)[2]
    except Exception as error:  # whatever a decoder meets in the bytes of a stranger
        raise ConnectionRefused(502, f"could not decode a method: {error}") from error
    if not isinstance(command, Frame):
        raise ConnectionRefused(502, "expected a method")
    return command
