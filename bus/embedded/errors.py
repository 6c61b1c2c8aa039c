"""How the broker says no: AMQP reply codes with the texts RabbitMQ uses."""

from __future__ import annotations

from typing import Final

_NAMES: Final = {
    311: "CONTENT_TOO_LARGE",
    312: "NO_ROUTE",
    320: "CONNECTION_FORCED",
    403: "ACCESS_REFUSED",
    404: "NOT_FOUND",
    405: "RESOURCE_LOCKED",
    406: "PRECONDITION_FAILED",
    501: "FRAME_ERROR",
    502: "SYNTAX_ERROR",
    503: "COMMAND_INVALID",
    504: "CHANNEL_ERROR",
    505: "UNEXPECTED_FRAME",
    530: "NOT_ALLOWED",
    540: "NOT_IMPLEMENTED",
    541: "INTERNAL_ERROR",
}

LONGEST_SHORT_STRING = 255


class AmqpRefused(Exception):
    """A client asked for what the broker cannot do; the reply code says why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{_NAMES[code]} - {text}")
        self.code = code

    @property
    def reply(self) -> str:
        """The reply text, cut to what a short string of AMQP can carry."""
        encoded = str(self).encode()[:LONGEST_SHORT_STRING]
        return encoded.decode(errors="ignore")


class ChannelRefused(AmqpRefused):
    """The refusal costs the client its channel."""


class ConnectionRefused(AmqpRefused):
    """The refusal costs the client its connection."""


def no_queue(name: str, vhost: str) -> ChannelRefused:
    """Refuse to name a queue that does not exist."""
    return ChannelRefused(404, f"no queue '{name}' in vhost '{vhost}'")


def no_exchange(name: str, vhost: str) -> ChannelRefused:
    """Refuse to name an exchange that does not exist."""
    return ChannelRefused(404, f"no exchange '{name}' in vhost '{vhost}'")


def locked(name: str, vhost: str) -> ChannelRefused:
    """Refuse a queue that belongs to another connection."""
    return ChannelRefused(
        405,
        f"cannot obtain exclusive access to locked queue '{name}' in vhost '{vhost}'. It could be "
        "originally declared on another connection or the exclusive property value does not "
        "match that of the original declaration.",
    )
