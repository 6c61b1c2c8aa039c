"""A connection: the handshake, frames, heartbeats, and who is made to wait."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Final, Protocol

from pamqp import commands, frame, heartbeat

from bus.embedded import wire
from bus.embedded.channel import Channel
from bus.embedded.errors import AmqpRefused, ChannelRefused, ConnectionRefused
from bus.embedded.handshake import Handshake, Terms

if TYPE_CHECKING:
    from pamqp.base import Frame

    from bus.embedded.turn import Memory, Turn
    from bus.embedded.vhost import VirtualHost

PROTOCOL: Final = b"AMQP\x00\x00\x09\x01"
_WRITE_AT: Final = 65_536  # bytes gathered before they are handed to the transport
_CLOSE_WAIT: Final = 2.0  # seconds for a client to answer connection.close
_HANDSHAKE_WAIT: Final = 10.0  # seconds for a client to finish the handshake


class Host(Protocol):
    """The broker that a connection belongs to."""

    turn: Turn
    memory: Memory
    terms: Terms

    def joined(self, connection: Connection) -> None:
        """Note that a connection is open."""
        ...

    def left(self, connection: Connection) -> None:
        """Note that a connection is gone."""
        ...

    def waits(self, connection: Connection) -> None:
        """Note that a connection is not read until there is room again."""
        ...

    def settle(self) -> None:
        """Finish this turn."""
        ...


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, host: Host) -> None:
        self.user = ""
        self.frame_max = host.terms.frame_max
        self.max_message_bytes = host.terms.max_message_bytes
        self.wants_cancel = False
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._handshake: Handshake | None = Handshake(host.terms)
        self._vhost: VirtualHost | None = None
        self._channels: dict[int, Channel] = {}
        self._channel_max = host.terms.channel_max
        self._tail = b""
        self._has_greeted = False
        self._is_closing = False
        self._can_write = True
        self._is_paused = False
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._confirming: dict[Channel, None] = {}
        self._heard = self._spoken = self._loop.time()
        self._heartbeat = 0.0
        self._timer = self._loop.call_later(_HANDSHAKE_WAIT, self.cut)

    # the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to talk."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server gives nothing else
        self._transport = transport
        transport.set_write_buffer_limits(high=1_048_576)
        self._host.joined(self)

    def data_received(self, data: bytes) -> None:
        """Read as many frames as have arrived, then finish the turn."""
        self._heard = self._loop.time()
        self._host.turn.begin(self._heard)
        try:
            self._read(self._tail + data if self._tail else data)
        except AmqpRefused as refusal:
            self._refuse(refusal)
        except (struct.error, IndexError, ValueError, UnicodeError, OverflowError) as error:
            self._refuse(ConnectionRefused(501, f"could not decode a frame: {error}"))
        self._host.settle()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back everything the client held."""
        del exc
        self._host.turn.begin(self._loop.time())
        self._timer.cancel()
        self._is_closing = True
        self._can_write = False
        self._transport = None
        for channel in self._channels.values():
            channel.release()
        self._channels.clear()
        if self._vhost is not None:
            for queue in [q for q in self._vhost.queues.values() if q.owner is self]:
                self._vhost.delete_queue(queue)
        self._host.left(self)
        self._host.settle()

    def pause_writing(self) -> None:
        """Stop delivering: the client does not keep up."""
        self._can_write = False

    def resume_writing(self) -> None:
        """Deliver again."""
        self._can_write = True
        self._host.turn.begin(self._loop.time())
        for channel in self._channels.values():
            channel.wake()
        self._host.settle()

    # the channels' side

    def can_write(self) -> bool:
        """Say whether the client reads fast enough to be sent more."""
        return self._can_write

    def send(self, frames: bytes) -> None:
        """Send frames at the end of this turn."""
        if not self._out:
            self._host.turn.flush(self)
        self._out.append(frames)
        self._out_bytes += len(frames)
        if self._out_bytes >= _WRITE_AT:
            self._write()

    def confirm(self, channel: Channel) -> None:
        """Ask the channel for its confirms at the end of this turn."""
        self._confirming[channel] = None
        self._host.turn.flush(self)

    def flush(self) -> None:
        """Hand the unsent frames to the transport."""
        for channel in self._confirming:
            if not channel.is_closing:
                channel.flush_confirms()
        self._confirming.clear()
        self._write()

    # the broker's side

    def resume(self) -> None:
        """Read again: there is room for what it publishes."""
        self._is_paused = False
        self._heard = self._loop.time()
        if self._transport is not None:
            self._transport.resume_reading()

    def shut(self) -> None:
        """Tell the client that the broker stops."""
        if not self._is_closing and self._handshake is None:
            self._refuse(ConnectionRefused(320, "broker forced connection closure: shutdown"))
            self.flush()
        if self._transport is not None:
            self._transport.close()

    def _write(self) -> None:
        if self._out and self._transport is not None:
            self._transport.write(b"".join(self._out))
            self._spoken = self._loop.time()
        self._out.clear()
        self._out_bytes = 0

    def cut(self) -> None:
        """End the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def _read(self, data: bytes) -> None:
        at, end = 0, len(data)
        self._tail = b""
        if not self._has_greeted:
            if end < len(PROTOCOL) and PROTOCOL.startswith(data):
                self._tail = data
                return
            if not self._greet(data):
                return
            at = len(PROTOCOL)
        unpack, envelope, room = wire.ENVELOPE.unpack_from, wire.ENVELOPE.size, self.frame_max
        while end - at >= wire.EMPTY_FRAME:
            kind, number, size = unpack(data, at)
            if size + wire.EMPTY_FRAME > room:
                raise ConnectionRefused(501, f"frame of {size} bytes is larger than {room}")
            start = at + envelope
            at = start + size + 1
            if at > end:
                at = start - envelope
                break
            if data[at - 1] != wire.END_BYTE:
                raise ConnectionRefused(501, "frame does not end with the frame-end octet")
            if kind == wire.HEARTBEAT:
                continue
            self._on_frame(kind, number, data[start : at - 1])
            if self._transport is None:
                return
        self._tail = data[at:]

    def _greet(self, data: bytes) -> bool:
        self._has_greeted = True
        if data.startswith(PROTOCOL):
            self._send(0, Handshake.start())
            return True
        if self._transport is not None:
            self._transport.write(PROTOCOL)
            self._transport.close()
        self._transport = None
        return False

    def _on_frame(self, kind: int, number: int, arguments: bytes) -> None:
        if not number:
            self._on_own_frame(kind, arguments)
            return
        if self._is_closing:
            return
        channel = self._channels.get(number)
        if channel is None:
            self._open_channel(kind, number, arguments)
            return
        try:
            self._on_channel_frame(channel, kind, arguments)
        except ChannelRefused as refusal:
            self._close_channel(channel, refusal, arguments)

    def _on_channel_frame(self, channel: Channel, kind: int, arguments: bytes) -> None:
        if kind == wire.METHOD:
            method = int.from_bytes(arguments[:4])
            if method == commands.Channel.Close.index:
                if not channel.is_closing:
                    channel.flush_confirms()
                channel.release()
                del self._channels[channel.number]
                self._send(channel.number, commands.Channel.CloseOk())
            elif method == commands.Channel.CloseOk.index:
                del self._channels[channel.number]
            elif not channel.is_closing:
                channel.on_method(arguments)
        elif channel.is_closing:
            pass
        elif kind == wire.HEADER:
            channel.on_header(arguments)
        elif kind == wire.BODY:
            channel.on_body(arguments)
            if self._host.memory.is_full and not self._is_paused:
                self._pause()
        else:
            raise ConnectionRefused(501, f"unknown frame type {kind}")

    def _pause(self) -> None:
        if self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
            self._host.waits(self)

    def _open_channel(self, kind: int, number: int, arguments: bytes) -> None:
        if self._vhost is None:
            raise ConnectionRefused(503, "a channel needs an open connection")
        method = int.from_bytes(arguments[:4])
        if kind != wire.METHOD or method != commands.Channel.Open.index:
            raise ConnectionRefused(504, f"expected 'channel.open' on channel {number}")
        if number > self._channel_max:
            raise ConnectionRefused(
                530,
                f"number of channels opened (or channel {number}) exceeds the negotiated "
                f"channel_max ({self._channel_max})",
            )
        self._channels[number] = Channel(number, self, self._vhost)
        self._send(number, commands.Channel.OpenOk())

    def _close_channel(self, channel: Channel, refusal: AmqpRefused, arguments: bytes) -> None:
        channel.flush_confirms()
        channel.release()
        culprit = _culprit(arguments)
        self._send(channel.number, commands.Channel.Close(refusal.code, refusal.reply, *culprit))

    def _on_own_frame(self, kind: int, arguments: bytes) -> None:
        if kind != wire.METHOD:
            raise ConnectionRefused(505, "channel 0 carries methods only")
        command = wire.decoded(arguments)
        match command:
            case commands.Connection.CloseOk():
                self.cut()
            case commands.Connection.Close():
                self._is_closing = True
                self._send(0, commands.Connection.CloseOk())
                self.flush()
                if self._transport is not None:
                    self._transport.close()
            case commands.Connection.UpdateSecret():
                self._send(0, commands.Connection.UpdateSecretOk())
            case _ if self._handshake is not None and not self._is_closing:
                self._proceed(self._handshake, command)
            case _ if self._is_closing:
                pass
            case _:
                raise ConnectionRefused(503, f"unexpected method {command.name} on channel 0")

    def _proceed(self, handshake: Handshake, command: Frame) -> None:
        reply = handshake.proceed(command)
        if reply is not None:
            self._send(0, reply)
        agreed = handshake.agreed
        if agreed is None:
            return
        self._handshake = None
        self.user, self._vhost = agreed.user, agreed.vhost
        self.frame_max, self._channel_max = agreed.frame_max, agreed.channel_max
        self.wants_cancel = agreed.wants_cancel
        self._heartbeat = agreed.heartbeat
        self._timer.cancel()
        if self._heartbeat:
            self._timer = self._loop.call_later(self._heartbeat / 2, self._beat)

    def _beat(self) -> None:
        now = self._loop.time()
        # while the broker does not read, silence proves nothing
        if now - self._heard > 2 * self._heartbeat and not self._is_paused:
            self.cut()
            return
        if now - self._spoken >= self._heartbeat / 2 and self._transport is not None:
            self._transport.write(heartbeat.Heartbeat.value)
            self._spoken = now
        self._timer = self._loop.call_later(self._heartbeat / 2, self._beat)

    def _refuse(self, refusal: AmqpRefused) -> None:
        """Close the connection, and say why."""
        if self._is_closing or self._transport is None:
            return
        self._is_closing = True
        self._tail = b""
        for channel in self._channels.values():
            channel.release()
        if self._handshake is not None and not self._handshake.may_explain(refusal):
            self._transport.close()
            return
        self._send(0, commands.Connection.Close(refusal.code, refusal.reply, 0, 0))
        self._timer.cancel()
        self._timer = self._loop.call_later(_CLOSE_WAIT, self.cut)

    def _send(self, number: int, command: Frame) -> None:
        self.send(frame.marshal(command, number))


def _culprit(arguments: bytes) -> tuple[int, int]:
    if len(arguments) < 4:
        return 0, 0
    class_id, method_id = struct.unpack_from(">HH", arguments)
    return (class_id, method_id) if class_id == 60 else (0, 0)
