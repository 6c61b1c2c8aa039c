"""The way back to a client: frames gathered during a turn, written at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from pamqp import frame

if TYPE_CHECKING:
    from asyncio import Transport

    from pamqp.base import Frame

    from bus.embedded.turn import Turn

_WRITE_AT: Final = 65_536  # bytes gathered before they are handed to the transport
_ENOUGH: Final = 1_048_576  # unread bytes after which a client is sent no more deliveries
_TOO_MUCH: Final = 16_777_216  # unread bytes after which a client is not listened to either


class Confirming(Protocol):
    """A publisher that owes confirms."""

    def flush_confirms(self) -> None:
        """Confirm all accepted messages at once."""
        ...


class Outgoing:
    """What a client is sent."""

    def __init__(self, turn: Turn) -> None:
        self.can_write = False
        self._turn = turn
        self._transport: Transport | None = None
        self._frames: list[bytes] = []
        self._size = 0
        self._confirming: dict[Confirming, None] = {}

    def open(self, transport: Transport) -> None:
        """Write to a transport from now on."""
        transport.set_write_buffer_limits(high=_ENOUGH)
        self._transport = transport
        self.can_write = True

    def close(self) -> None:
        """Write no more."""
        self._transport = None
        self.can_write = False

    @property
    def is_swamped(self) -> bool:
        """Whether the client asks for far more than it reads."""
        transport = self._transport
        return (
            not self.can_write
            and transport is not None
            and transport.get_write_buffer_size() > _TOO_MUCH
        )

    def send(self, frames: bytes) -> None:
        """Send frames at the end of this turn."""
        if not self._frames:
            self._turn.flush(self)
        self._frames.append(frames)
        self._size += len(frames)
        if self._size >= _WRITE_AT:
            self._write()

    def send_method(self, channel: int, command: Frame) -> None:
        """Send a method at the end of this turn."""
        self.send(frame.marshal(command, channel))

    def confirm(self, publisher: Confirming) -> None:
        """Ask a publisher for its confirms at the end of this turn."""
        self._confirming[publisher] = None
        self._turn.flush(self)

    def flush(self) -> None:
        """Hand everything to the transport."""
        for publisher in self._confirming:
            publisher.flush_confirms()
        self._confirming.clear()
        self._write()

    def _write(self) -> None:
        if self._frames and self._transport is not None:
            self._transport.write(b"".join(self._frames))
        self._frames.clear()
        self._size = 0
