"""How an event is stored: its type as the topic, itself and its surroundings as one JSON object.

The registry is closed. A topic that it does not know is an error, never an import.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

import orjson
from eventsourcing.persistence import Notification, StoredEvent

from bus.tolerance import validate_tolerantly
from domain.deciders import EVENTS
from domain.errors import UnreadableStream
from domain.policies import Event
from domain.recorded import Recorded


class UnknownTopic(UnreadableStream):
    """The log holds an event of a type that this code does not know."""

    code = "unknown-topic"

    def __init__(self, topic: str, stream: str, version: int, *, position: int = 0) -> None:
        super().__init__(
            f"event {version} of {stream} is of the unknown type {topic!r}; "
            "it was written by a later version of taskloom: upgrade before reading this stream",
            stream=stream,
            position=position,
        )


class CorruptEvent(UnreadableStream):
    """A stored event cannot be read."""

    code = "corrupt-event"

    def __init__(self, stream: str, version: int, why: str, *, position: int = 0) -> None:
        super().__init__(
            f"event {version} of {stream} cannot be read: {why}", stream=stream, position=position
        )


def to_stored(recorded: Recorded[Event]) -> StoredEvent:
    """Return an event as the recorders keep it."""
    meta: dict[str, object] = {
        "id": recorded.id,
        "at": recorded.at,
        "by": recorded.actor,
        "for": recorded.correlation_id,
        "v": recorded.schema_version,
    }
    if recorded.causation_id is not None:
        meta["because"] = recorded.causation_id
    if recorded.traceparent is not None:
        meta["trace"] = recorded.traceparent
    event = recorded.event.__pydantic_serializer__.to_json(recorded.event)
    # The event's JSON is put in as it is: encoding it once is enough.
    state = b'{"meta":' + orjson.dumps(meta, option=orjson.OPT_UTC_Z) + b',"event":' + event + b"}"
    return StoredEvent(
        originator_id=recorded.stream,
        originator_version=recorded.version,
        topic=recorded.event.type,
        state=state,
    )


Unseal = Callable[[dict[str, Any], StoredEvent], None]
"""Puts what is personal back into a stored event's JSON, as far as that can be done."""


def from_stored(stored: StoredEvent, unseal: Unseal | None = None) -> Recorded[Event]:
    """Return a stored event as the domain knows it; what nobody unseals reads ``[forgotten]``.

    Raises:
        UnknownTopic: Its type is not in the registry.
        CorruptEvent: It is not of the form of its type.
    """
    stream, version = str(stored.originator_id), stored.originator_version
    position = stored.id if isinstance(stored, Notification) else 0
    model = EVENTS.get(stored.topic)
    if model is None:
        raise UnknownTopic(stored.topic, stream, version, position=position)
    try:
        state = orjson.loads(stored.state)
        meta = state["meta"]
        if unseal is not None and "personal" in state:
            unseal(state, stored)
        # Readers tolerate what a later writer added.
        event = validate_tolerantly(model, state["event"])
        at = datetime.fromisoformat(meta["at"])
        return Recorded(
            id=meta["id"],
            position=position,
            stream=stream,
            version=version,
            event=cast("Event", event),
            at=at,
            actor=meta["by"],
            correlation_id=meta["for"],
            causation_id=meta.get("because"),
            traceparent=meta.get("trace"),
            schema_version=meta["v"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptEvent(stream, version, str(error), position=position) from error
