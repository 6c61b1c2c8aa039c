"""A connection: the handshake, frames, heartbeats, and who is made to wait."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING, Final, Protocol, cast

from pamqp import commands, heartbeat

from bus.embedded import wire
from bus.embedded.channel import Channel
from bus.embedded.errors import AmqpRefused, ChannelRefused, ConnectionRefused
from bus.embedded.frames import PROTOCOL, FrameReader
from bus.embedded.handshake import Handshake, Terms
from bus.embedded.outgoing import Outgoing
from bus.embedded.pulse import Pulse

if TYPE_CHECKING:
    from pamqp.base import Frame

    from bus.embedded.turn import Memory, Turn
    from bus.embedded.vhost import VirtualHost

_CLOSE_WAIT: Final = 2.0  # seconds for a client to answer connection.close


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
        self.out = Outgoing(host.turn)
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._handshake: Handshake | None = Handshake(host.terms)
        self._vhost: VirtualHost | None = None
        self._channels: dict[int, Channel] = {}
        self._channel_max = host.terms.channel_max
        self._reader = FrameReader(host.terms.frame_max)
        self._has_greeted = False
        self._publishes = False
        self._is_closing = False
        self._pulse = Pulse(
            self._loop, deadline=host.terms.handshake_timeout, beat=self._beat, give_up=self.cut
        )

    # the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to talk."""
        # a TCP server gives nothing else, but uvloop's does not say so by its class
        self._transport = cast("asyncio.Transport", transport)
        self.out.open(self._transport)
        self._host.joined(self)

    def data_received(self, data: bytes) -> None:
        """Read as many frames as have arrived, then finish the turn."""
        self._pulse.heard = self._loop.time()
        self._host.turn.begin(self._pulse.heard)
        try:
            self._read(data)
        except AmqpRefused as refusal:
            self._refuse(refusal)
        except (struct.error, IndexError, KeyError, TypeError, ValueError, OverflowError) as error:
            self._refuse(ConnectionRefused(501, f"could not decode a frame: {error}"))
        self._host.settle()
        self._listen()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back everything the client held."""
        del exc
        self._host.turn.begin(self._loop.time())
        self._pulse.stop()
        self._is_closing = True
        self.out.close()
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
        self.out.can_write = False

    def resume_writing(self) -> None:
        """Deliver again."""
        self.out.can_write = True
        self._host.turn.begin(self._loop.time())
        for channel in self._channels.values():
            channel.wake()
        self._host.settle()
        self._listen()

    # the broker's side

    def resume(self) -> None:
        """Listen again: there is room for what the client publishes."""
        self._listen()

    def shut(self) -> None:
        """Tell the client that the broker stops."""
        if not self._is_closing and self._handshake is None:
            self._refuse(ConnectionRefused(320, "broker forced connection closure: shutdown"))
            self.out.flush()
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """End the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def _listen(self) -> None:
        """Listen to the client, unless it publishes what has no room or reads no answers."""
        has_to_wait = self._publishes and self._host.memory.is_full
        if has_to_wait:
            self._host.waits(self)
        is_deaf = has_to_wait or self.out.is_swamped
        if is_deaf == self._pulse.is_deaf or self._transport is None:
            return
        self._pulse.is_deaf = is_deaf
        if is_deaf:
            self._transport.pause_reading()
        else:
            self._pulse.heard = self._loop.time()
            self._transport.resume_reading()

    def _read(self, data: bytes) -> None:
        if not self._has_greeted:
            is_ours = self._reader.greeting(data)
            if is_ours is None:
                return
            self._has_greeted = True
            if not is_ours:
                self._correct()
                return
            self.out.send_method(0, Handshake.start())
            data = b""
        for kind, number, arguments in self._reader.read(data):
            self._on_frame(kind, number, arguments)
            if self._transport is None:
                return

    def _correct(self) -> None:
        """Tell a stranger which protocol is spoken here."""
        if self._transport is not None:
            self._transport.write(PROTOCOL)
            self._transport.close()
        self._is_closing = True

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
                    channel.publisher.flush_confirms()
                channel.release()
                del self._channels[channel.number]
                self.out.send_method(channel.number, commands.Channel.CloseOk())
            elif method == commands.Channel.CloseOk.index:
                del self._channels[channel.number]
            elif not channel.is_closing:
                channel.on_method(arguments)
        elif channel.is_closing:
            pass
        elif kind == wire.HEADER:
            self._publishes = True
            channel.publisher.on_header(arguments)
        elif kind == wire.BODY:
            channel.publisher.on_body(arguments)
        else:
            raise ConnectionRefused(501, f"unknown frame type {kind}")

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
        self.out.send_method(number, commands.Channel.OpenOk())

    def _close_channel(self, channel: Channel, refusal: AmqpRefused, arguments: bytes) -> None:
        channel.publisher.flush_confirms()
        channel.release()
        culprit = _culprit(arguments)
        self.out.send_method(
            channel.number, commands.Channel.Close(refusal.code, refusal.reply, *culprit)
        )

    def _on_own_frame(self, kind: int, arguments: bytes) -> None:
        if kind != wire.METHOD:
            raise ConnectionRefused(505, "channel 0 carries methods only")
        command = wire.decoded(arguments)
        match command:
            case commands.Connection.CloseOk():
                self.cut()
            case commands.Connection.Close():
                self._is_closing = True
                self.out.send_method(0, commands.Connection.CloseOk())
                self.out.flush()
                if self._transport is not None:
                    self._transport.close()
            case commands.Connection.UpdateSecret():
                self.out.send_method(0, commands.Connection.UpdateSecretOk())
            case _ if self._handshake is not None and not self._is_closing:
                self._proceed(self._handshake, command)
            case _ if self._is_closing:
                pass
            case _:
                raise ConnectionRefused(503, f"unexpected method {command.name} on channel 0")

    def _proceed(self, handshake: Handshake, command: Frame) -> None:
        reply = handshake.proceed(command)
        if reply is not None:
            self.out.send_method(0, reply)
        agreed = handshake.agreed
        if agreed is None:
            return
        self._handshake = None
        self.user, self._vhost = agreed.user, agreed.vhost
        self.frame_max, self._channel_max = agreed.frame_max, agreed.channel_max
        self.wants_cancel = agreed.wants_cancel
        self._reader.frame_max = agreed.frame_max
        self._pulse.start(agreed.heartbeat)

    def _beat(self) -> None:
        if self._transport is not None:
            self._transport.write(heartbeat.Heartbeat.value)

    def _refuse(self, refusal: AmqpRefused) -> None:
        """Close the connection, and say why."""
        if self._is_closing or self._transport is None:
            return
        self._is_closing = True
        self._reader.forget()
        for channel in self._channels.values():
            channel.release()
        if self._handshake is not None and not self._handshake.may_explain(refusal):
            self._transport.close()
            return
        self.out.send_method(0, commands.Connection.Close(refusal.code, refusal.reply, 0, 0))
        self._pulse.last(_CLOSE_WAIT)


def _culprit(arguments: bytes) -> tuple[int, int]:
    if len(arguments) < 4:
        return 0, 0
    class_id, method_id = struct.unpack_from(">HH", arguments)
    return (class_id, method_id) if class_id == 60 else (0, 0)
