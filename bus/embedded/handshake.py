"""How a client and the broker come to terms: who, how large, how often, where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from pamqp import commands, decode

from bus.embedded.errors import AmqpRefused, ConnectionRefused

if TYPE_CHECKING:
    from pamqp.base import Frame
    from pamqp.common import FieldTable

    from bus.embedded.vhost import VirtualHost

_CAPABILITIES: Final = (
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "consumer_priorities",
    "authentication_failure_close",
    "per_consumer_qos",
    "direct_reply_to",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the broker offers to a client; times in seconds."""

    user: str
    password: str
    vhosts: Mapping[str, VirtualHost]
    frame_max: int
    channel_max: int
    heartbeat: int
    handshake_timeout: float
    max_message_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What client and broker agreed on; the heartbeat in seconds, 0 is none."""

    user: str
    vhost: VirtualHost
    frame_max: int
    channel_max: int
    heartbeat: int
    wants_cancel: bool


class Handshake:
    """The opening exchange of methods on channel 0."""

    def __init__(self, terms: Terms) -> None:
        self.agreed: Agreement | None = None
        self._terms = terms
        self._started: commands.Connection.StartOk | None = None
        self._tuned: commands.Connection.TuneOk | None = None

    @staticmethod
    def start() -> Frame:
        """Return the broker's first word."""
        capabilities: FieldTable = dict.fromkeys(_CAPABILITIES, True)
        return commands.Connection.Start(
            server_properties={
                "product": "Taskloom embedded broker",
                "version": "3.10.0",
                "platform": "Python",
                "capabilities": capabilities,
            },
            mechanisms="PLAIN AMQPLAIN",
        )

    def proceed(self, command: Frame) -> Frame | None:
        """Take the next method of the client and return the answer to it.

        Raises:
            ConnectionRefused: Wrong credentials, wrong terms, or no such virtual host.
        """
        match command:
            case commands.Connection.StartOk() if self._started is None:
                self._authenticate(command)
                self._started = command
                terms = self._terms
                return commands.Connection.Tune(terms.channel_max, terms.frame_max, terms.heartbeat)
            case commands.Connection.TuneOk() if self._started is not None and self._tuned is None:
                self._check(command)
                self._tuned = command
                return None
            case commands.Connection.Open() if (
                self._started is not None and self._tuned is not None
            ):
                self.agreed = self._agree(self._started, self._tuned, command.virtual_host)
                return commands.Connection.OpenOk()
            case _:
                raise ConnectionRefused(503, f"unexpected method {command.name} in the handshake")

    def may_explain(self, refusal: AmqpRefused) -> bool:
        """Say whether the client understands why it is refused, before it has got in."""
        if refusal.code != 403:
            return self._started is not None
        return self._can_be_told

    _can_be_told = False

    def _authenticate(self, command: commands.Connection.StartOk) -> None:
        self._can_be_told = _is_capable(command, "authentication_failure_close")
        user, password = _credentials(command.mechanism, command.response)
        is_right = compare_digest(user.encode(), self._terms.user.encode()) & compare_digest(
            password.encode(), self._terms.password.encode()
        )
        if not is_right:
            raise ConnectionRefused(
                403,
                f"Login was refused using authentication mechanism {command.mechanism}. "
                "For details see the broker logfile.",
            )

    def _check(self, tuned: commands.Connection.TuneOk) -> None:
        least = 4096
        if tuned.frame_max and not least <= tuned.frame_max <= self._terms.frame_max:
            raise ConnectionRefused(
                530, f"negotiated frame_max = {tuned.frame_max} is not within the limits"
            )
        if tuned.channel_max > self._terms.channel_max:
            raise ConnectionRefused(
                530, f"negotiated channel_max = {tuned.channel_max} is higher than the maximum"
            )

    def _agree(
        self,
        started: commands.Connection.StartOk,
        tuned: commands.Connection.TuneOk,
        name: str,
    ) -> Agreement:
        vhost = self._terms.vhosts.get(name)
        if vhost is None:
            raise ConnectionRefused(530, f"vhost {name} not found")
        return Agreement(
            user=self._terms.user,
            vhost=vhost,
            frame_max=tuned.frame_max or self._terms.frame_max,
            channel_max=tuned.channel_max or self._terms.channel_max,
            heartbeat=tuned.heartbeat,
            wants_cancel=_is_capable(started, "consumer_cancel_notify"),
        )


def _is_capable(started: commands.Connection.StartOk, capability: str) -> bool:
    capabilities = (started.client_properties or {}).get("capabilities")
    return isinstance(capabilities, dict) and capabilities.get(capability) is True


def _credentials(mechanism: str, response: str) -> tuple[str, str]:
    if mechanism == "PLAIN":
        parts = response.split("\0")
        return (parts[1], parts[2]) if len(parts) == 3 else ("", "")
    if mechanism == "AMQPLAIN":
        encoded = response.encode()
        table = decode.field_table(len(encoded).to_bytes(4) + encoded)[1]
        return str(table.get("LOGIN", "")), str(table.get("PASSWORD", ""))
    raise ConnectionRefused(403, f"mechanism {mechanism} is not supported")
