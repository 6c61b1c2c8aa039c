"""A message of another system: what it says happened, kept so that subscribers hear it once.

Each is a stream of its own. What it means, only those who publish and subscribe know.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import StringConstraints

from domain.errors import AlreadyExists, TooHeavy
from domain.values import PersonalObject, Priority, Value

MOST_BYTES: Final = 256 * 1024
"""Of a message, as JSON."""

Topic = Annotated[
    str,
    StringConstraints(max_length=200, pattern=r"^[a-z0-9_-]{1,64}(\.[a-z0-9_-]{1,64}){0,9}$"),
]
"""What a message is about: words between dots, like the types of events."""

MessageId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
"""A message, unique among those of whoever publishes it."""


class MessagePublished(Value):
    """Another system has said something to whoever subscribes to it."""

    type: Literal["message.published"] = "message.published"
    message_id: MessageId
    topic: Topic
    payload: PersonalObject
    priority: Priority = "normal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message, as far as it takes to recognise it."""

    digest: str


def message_stream(message_id: str) -> str:
    """Return the name of a message's stream."""
    return f"message:{message_id}"


def decide(
    message: Message | None,
    report: MessagePublished,
    now: datetime,  # noqa: ARG001 # every decide is told the time
) -> Sequence[MessagePublished]:
    """Say which events follow: none, where the very same was published before.

    Raises:
        AlreadyExists: Something else was published under this id.
        TooHeavy: It has too many bytes.
    """
    if message is not None:
        if message.digest != _digest(report):
            raise AlreadyExists("message", report.message_id)
        return []
    if (size := len(report.model_dump_json())) > MOST_BYTES:
        raise TooHeavy(f"message {report.message_id}", size, MOST_BYTES)
    return [report]


def evolve(message: Message | None, event: MessagePublished) -> Message:
    """Return the message after its event."""
    return message or Message(digest=_digest(event))


def _digest(published: MessagePublished) -> str:
    return hashlib.sha256(published.model_dump_json().encode()).hexdigest()
