"""Cutting the bytes of a connection into frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bus.embedded import wire
from bus.embedded.errors import ConnectionRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

PROTOCOL: Final = b"AMQP\x00\x00\x09\x01"


class FrameReader:
    """What has arrived on a connection and is not yet read."""

    def __init__(self, frame_max: int) -> None:
        self.frame_max = frame_max
        self._tail: bytes = b""

    def greeting(self, data: bytes) -> bool | None:
        """Take the first bytes; say whether they are AMQP 0-9-1, None if there are too few."""
        data = self._tail + data
        if len(data) < len(PROTOCOL) and PROTOCOL.startswith(data):
            self._tail = data
            return None
        self._tail = data[len(PROTOCOL) :]
        return data.startswith(PROTOCOL)

    def read(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Take more bytes; return the frames that are complete, as type, channel and content.

        Raises:
            ConnectionRefused: A frame is too large, or does not end where it should.
        """
        if self._tail:
            data = self._tail + data
            self._tail = b""
        at, end = 0, len(data)
        kind: int
        number: int
        size: int
        while end - at >= wire.ENVELOPE.size:
            kind, number, size = wire.ENVELOPE.unpack_from(data, at)
            if size + wire.EMPTY_FRAME > self.frame_max:
                raise ConnectionRefused(
                    501, f"frame of {size} bytes is larger than {self.frame_max} allows"
                )
            start = at + wire.ENVELOPE.size
            stop = start + size
            if stop >= end:
                break
            if data[stop] != wire.END_BYTE:
                raise ConnectionRefused(501, "frame does not end with the frame-end octet")
            at = stop + 1
            if kind != wire.HEARTBEAT:
                yield kind, number, data[start:stop]
        self._tail = data[at:]

    def forget(self) -> None:
        """Drop what is not read: nothing that follows can be trusted."""
        self._tail = b""
