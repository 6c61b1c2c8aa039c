"""What a queue was declared with: arguments read, checked and refused as RabbitMQ does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bus.embedded.errors import ChannelRefused
from bus.embedded.messages import NEVER

if TYPE_CHECKING:
    from pamqp.common import FieldTable, FieldValue

_NUMBERS: Final = {
    "x-expires": 1,
    "x-message-ttl": 0,
    "x-max-length": 0,
    "x-max-length-bytes": 0,
    "x-max-priority": 0,
    "x-delivery-limit": 0,
}
_STRINGS: Final = ("x-dead-letter-exchange", "x-dead-letter-routing-key")
_CHOICES: Final = {
    "x-overflow": ("drop-head", "reject-publish", "reject-publish-dlx"),
    "x-dead-letter-strategy": ("at-most-once", "at-least-once"),
    "x-queue-mode": ("default", "lazy"),
    "x-queue-type": ("classic", "quorum"),
}
_ONLY_CLASSIC: Final = ("x-max-priority", "x-queue-mode")
_ONLY_QUORUM: Final = ("x-delivery-limit", "x-dead-letter-strategy")
_COMPARED: Final = (*_NUMBERS, *_STRINGS, *_CHOICES, "x-single-active-consumer")
_LONGEST_MILLISECONDS: Final = 2**32 - 1
_MOST_PRIORITIES: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """How a queue behaves; times in seconds."""

    is_durable: bool
    is_exclusive: bool
    is_auto_delete: bool
    is_quorum: bool
    arguments: FieldTable
    ttl: float
    expires: float | None
    dead_letter_exchange: str | None
    dead_letter_key: str | None
    max_length: float
    max_bytes: float
    overflow: str
    max_priority: int
    delivery_limit: float
    has_single_consumer: bool


def read_settings(
    name: str,
    vhost: str,
    *,
    durable: bool,
    exclusive: bool,
    auto_delete: bool,
    arguments: FieldTable,
) -> QueueSettings:
    """Read the arguments of a queue.declare.

    Raises:
        ChannelRefused: An argument is invalid, or this type of queue does not have it.
    """
    where = f"for queue '{name}' in vhost '{vhost}'"
    for argument in _NUMBERS:
        _check_number(argument, arguments, where)
    for argument in _STRINGS:
        if not isinstance(arguments.get(argument, ""), str):
            raise ChannelRefused(406, f"invalid arg '{argument}' {where}: not a string")
    for argument, choices in _CHOICES.items():
        value = arguments.get(argument, choices[0])
        if value not in choices:
            raise ChannelRefused(406, f"invalid arg '{argument}' {where}: {value!r} is unknown")
    if "x-dead-letter-routing-key" in arguments and "x-dead-letter-exchange" not in arguments:
        raise ChannelRefused(
            406,
            f"invalid arg 'x-dead-letter-routing-key' {where}: routing_key_but_no_dlx_defined",
        )
    is_quorum = arguments.get("x-queue-type") == "quorum"
    kind = "rabbit_quorum_queue" if is_quorum else "rabbit_classic_queue"
    for argument in _ONLY_CLASSIC if is_quorum else _ONLY_QUORUM:
        if argument in arguments:
            raise ChannelRefused(406, f"invalid arg '{argument}' {where} of queue type {kind}")
    if is_quorum:
        _check_quorum(
            where,
            durable=durable,
            exclusive=exclusive,
            auto_delete=auto_delete,
        )
    return QueueSettings(
        is_durable=durable,
        is_exclusive=exclusive,
        is_auto_delete=auto_delete,
        is_quorum=is_quorum,
        arguments=arguments,
        ttl=_number(arguments, "x-message-ttl", NEVER * 1000) / 1000,
        expires=_number(arguments, "x-expires", 0) / 1000 or None,
        dead_letter_exchange=_string(arguments, "x-dead-letter-exchange"),
        dead_letter_key=_string(arguments, "x-dead-letter-routing-key"),
        max_length=_number(arguments, "x-max-length", NEVER),
        max_bytes=_number(arguments, "x-max-length-bytes", NEVER),
        overflow=_string(arguments, "x-overflow") or "drop-head",
        max_priority=int(_number(arguments, "x-max-priority", 0)),
        delivery_limit=_number(arguments, "x-delivery-limit", NEVER),
        has_single_consumer=arguments.get("x-single-active-consumer") is True,
    )


def check_equivalent(name: str, vhost: str, had: QueueSettings, given: QueueSettings) -> None:
    """Make sure that a queue is declared again as it was.

    Raises:
        ChannelRefused: Something differs.
    """
    where = f"for queue '{name}' in vhost '{vhost}'"
    for attribute, was, now in (
        ("durable", had.is_durable, given.is_durable),
        ("auto_delete", had.is_auto_delete, given.is_auto_delete),
    ):
        if was != now:
            raise ChannelRefused(
                406,
                f"inequivalent arg '{attribute}' {where}: "
                f"received '{str(now).lower()}' but current is '{str(was).lower()}'",
            )
    for argument in _COMPARED:
        missing = "classic" if argument == "x-queue-type" else None
        before = had.arguments.get(argument, missing)
        after = given.arguments.get(argument, missing)
        if before != after:
            raise ChannelRefused(
                406,
                f"inequivalent arg '{argument}' {where}: "
                f"received {_described(after)} but current is {_described(before)}",
            )


def _check_number(argument: str, arguments: FieldTable, where: str) -> None:
    if argument not in arguments:
        return
    value = arguments[argument]
    if not isinstance(value, int) or isinstance(value, bool):
        raise ChannelRefused(406, f"invalid arg '{argument}' {where}: not a number")
    highest = _MOST_PRIORITIES if argument == "x-max-priority" else 2**63
    if argument in ("x-expires", "x-message-ttl"):
        highest = _LONGEST_MILLISECONDS
    if not _NUMBERS[argument] <= value <= highest:
        raise ChannelRefused(406, f"invalid arg '{argument}' {where}: {value} is out of range")


def _check_quorum(where: str, *, durable: bool, exclusive: bool, auto_delete: bool) -> None:
    if not durable:
        raise ChannelRefused(406, f"invalid property 'non-durable' {where}")
    if exclusive:
        raise ChannelRefused(406, f"invalid property 'exclusive-owner' {where}")
    if auto_delete:
        raise ChannelRefused(406, f"invalid property 'auto-delete' {where}")


def _number(arguments: FieldTable, name: str, default: float) -> float:
    value = arguments.get(name)
    return value if isinstance(value, int) else default


def _string(arguments: FieldTable, name: str) -> str | None:
    value = arguments.get(name)
    return value if isinstance(value, str) else None


def _described(value: FieldValue) -> str:
    if value is None:
        return "none"
    kind = "longstr" if isinstance(value, str) else "signedint"
    return f"the value {value!r} of type '{kind}'"
