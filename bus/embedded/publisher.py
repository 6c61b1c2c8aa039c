"""The publishing side of a channel: putting messages together, and confirming them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pamqp import commands, frame

from bus.embedded import wire
from bus.embedded.errors import ChannelRefused, ConnectionRefused
from bus.embedded.messages import Message, copied_to
from bus.embedded.properties import (
    EXPIRATION,
    REPLY_TO,
    USER_ID,
    fields_of,
    flags_of,
    joined,
    short_string,
    text,
)
from bus.embedded.vhost import REPLY_TO_NAME

if TYPE_CHECKING:
    from bus.embedded.outgoing import Outgoing
    from bus.embedded.vhost import VirtualHost


class Source(Protocol):
    """The connection that messages come from."""

    user: str
    frame_max: int
    max_message_bytes: int
    out: Outgoing


class Publisher:
    """Takes messages in frame by frame and puts them into the virtual host."""

    def __init__(self, number: int, source: Source, vhost: VirtualHost) -> None:
        self.confirms = False
        self.reply_token = ""  # the queue name of the channel's direct replies, if it has any
        self._number = number
        self._source = source
        self._vhost = vhost
        self._publish: wire.Publish | None = None
        self._properties = b""
        self._chunks: list[bytes] = []
        self._missing = -1  # bytes of the body; -1 before the content header
        self._published = 0
        self._accepted = 0
        self._confirmed = 0

    @property
    def is_waiting(self) -> bool:
        """Whether the rest of a message is due."""
        return self._publish is not None

    def begin(self, arguments: bytes) -> None:
        """Take a basic.publish."""
        self._publish = wire.read_publish(arguments)
        self._missing = -1

    def on_header(self, arguments: bytes) -> None:
        """Take the content header of a message.

        Raises:
            AmqpRefused: It is not its turn, or the message is too large.
        """
        if self._publish is None or self._missing >= 0:
            raise ConnectionRefused(505, "expected a method frame, got a content header instead")
        size, self._properties = wire.read_content_header(arguments)
        most = self._source.max_message_bytes
        if size > most:
            raise ChannelRefused(
                406, f"message size {size} is larger than configured max size {most}"
            )
        self._missing = size
        if not size:
            self._publish_whole(self._publish, b"")

    def on_body(self, chunk: bytes) -> None:
        """Take a piece of the body of a message.

        Raises:
            AmqpRefused: It is not its turn, or the piece is too long.
        """
        if self._publish is None or self._missing < 0:
            raise ConnectionRefused(505, "expected a method frame, got a content body instead")
        self._missing -= len(chunk)
        if self._missing < 0:
            raise ConnectionRefused(501, "content body is longer than its header says")
        if self._chunks or self._missing:
            self._chunks.append(chunk)
        if not self._missing:
            body = b"".join(self._chunks) if self._chunks else chunk
            self._chunks.clear()
            self._publish_whole(self._publish, body)

    def flush_confirms(self) -> None:
        """Confirm all accepted messages at once."""
        if self._accepted > self._confirmed:
            multiple = self._accepted > self._confirmed + 1
            self._source.out.send(
                wire.confirm(self._number, wire.ACK, self._accepted, multiple=multiple)
            )
            self._confirmed = self._accepted

    def _publish_whole(self, publish: wire.Publish, body: bytes) -> None:
        self._publish = None
        if publish.is_immediate:
            raise ConnectionRefused(540, "immediate=true")
        vhost = self._vhost
        exchange = vhost.exchange(publish.exchange)
        if exchange.is_internal:
            raise ChannelRefused(
                403,
                f"cannot publish to internal exchange '{exchange.name}' in vhost '{vhost.name}'",
            )
        properties = self._checked(self._properties)
        copies, properties = copied_to(properties)
        message = Message(publish.exchange, publish.routing_key, properties, body, copies)
        if flags_of(properties) & EXPIRATION:
            _ = message.lifetime  # refused here, not later in a queue
        is_routed, is_accepted = vhost.publish(exchange, message)
        if publish.is_mandatory and not is_routed:
            self._return(message)
        if self.confirms:
            self._confirm(is_accepted=is_accepted)

    def _checked(self, properties: bytes) -> bytes:
        fields = fields_of(properties)  # of all messages: what is malformed gets no further
        if not flags_of(properties) & (USER_ID | REPLY_TO):
            return properties
        user = self._source.user
        if USER_ID in fields and text(fields[USER_ID]) != user:
            raise ChannelRefused(
                406,
                f"user_id property set to '{text(fields[USER_ID])}' but authenticated user was "
                f"'{user}'",
            )
        if REPLY_TO in fields and text(fields[REPLY_TO]) == REPLY_TO_NAME:
            if not self.reply_token:
                raise ChannelRefused(406, "fast reply consumer does not exist")
            fields[REPLY_TO] = short_string(self.reply_token)
            return joined(fields)
        return properties

    def _confirm(self, *, is_accepted: bool) -> None:
        self._published += 1
        if is_accepted:
            self._accepted = self._published
            self._source.out.confirm(self)
            return
        self.flush_confirms()
        self._source.out.send(
            wire.confirm(self._number, wire.NACK, self._published, multiple=False)
        )
        self._accepted = self._confirmed = self._published

    def _return(self, message: Message) -> None:
        method = commands.Basic.Return(312, "NO_ROUTE", message.exchange, message.routing_key)
        content = wire.content(
            self._number, message.properties, message.body, self._source.frame_max
        )
        self._source.out.send(frame.marshal(method, self._number) + content)
