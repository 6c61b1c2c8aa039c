"""What AMQP says about a report beside its body, and whether it agrees with the body."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bus.encodings import ENCODINGS
from bus.envelope import CONTENT_TYPE, type_of
from bus.refusals import (
    ForbiddenProperty,
    IdMismatch,
    MissingMessageId,
    RoutingKeyMismatch,
    UnsupportedEncoding,
    UnsupportedMediaType,
)
from domain.recorded import Report
from domain.values import Value

PLAIN: Final = (None, "", "utf-8", "identity")
"""Encodings of a body that is sent as it is."""

MOST_HEADERS: Final = 64

_FORBIDDEN_HEADERS = frozenset({"CC", "BCC"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """What AMQP says about a message beside its body."""

    content_type: str | None
    message_id: str | None
    content_encoding: str | None = None
    reply_to: str | None = None
    expiration: object = None
    headers: Mapping[str, object] | None = None
    user_id: str | None = None
    """The user whose connection it came over, if it says so: the broker refuses any other name."""

    priority: int | None = None


def check_properties(properties: Properties) -> str:
    """Refuse properties that a report must not have, and return its message_id.

    Raises:
        Unreadable: A property is missing, not supported or forbidden.
    """
    media_type, _, parameters = (properties.content_type or "").partition(";")
    is_utf8 = parameters.strip().lower() in ("", "charset=utf-8")
    if media_type.strip().lower() != CONTENT_TYPE or not is_utf8:
        raise UnsupportedMediaType(
            f"the content_type is {properties.content_type!r}; send {CONTENT_TYPE}"
        )
    if properties.content_encoding not in PLAIN and properties.content_encoding not in ENCODINGS:
        raise UnsupportedEncoding(
            f"the content_encoding is {properties.content_encoding!r}; send the body as it is"
        )
    if properties.reply_to:
        raise ForbiddenProperty("reply_to is set; reports are not answered")
    if properties.expiration not in (None, ""):
        raise ForbiddenProperty("expiration is set; a report must not vanish before it is read")
    if properties.priority:
        raise ForbiddenProperty("priority is set; reports are read in the order they come in")
    if len(properties.headers or ()) > MOST_HEADERS:
        raise ForbiddenProperty(f"there are more than {MOST_HEADERS} headers")
    if properties.headers and (copies := _FORBIDDEN_HEADERS & properties.headers.keys()):
        raise ForbiddenProperty(f"the header {min(copies)} is set; publish each report once")
    if not properties.message_id:
        raise MissingMessageId("the message_id is not set; it has to be the CloudEvent's id")
    return properties.message_id


def check_agreement(report: Report[Value], *, message_id: str, routing_key: str) -> None:
    """Refuse a report about which AMQP and CloudEvent do not say the same.

    Raises:
        IdMismatch: The message_id is not the report's id.
        RoutingKeyMismatch: The routing key is not the report's type.
    """
    if message_id != report.id:
        raise IdMismatch(f"the message_id is {message_id!r}, the CloudEvent's id {report.id!r}")
    if routing_key != type_of(report.body):
        raise RoutingKeyMismatch(
            f"the routing key is {routing_key!r}, the CloudEvent's type {type_of(report.body)!r}"
        )
