"""The form that reports and events have on the wire: CloudEvents 1.0 in JSON, structured mode.

What is said is the CloudEvent's ``data``; its type is the CloudEvent's ``type`` and not repeated.
Who says it is the ``source``. The extensions are listed in the package's README.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar, cast

import orjson
from pydantic import JsonValue, ValidationError

from bus.refusals import (
    BadSchema,
    BadTime,
    IdentityMismatch,
    MissingAttribute,
    NotAnObject,
    SubjectMismatch,
    UnknownSchemaVersion,
    UnknownType,
    UnsupportedMediaType,
    UnsupportedSpecVersion,
)
from bus.strict_json import MAX_BYTES, loads_strict
from bus.tolerance import validate_tolerantly
from bus.versions import CURRENT, understood, up_to_date
from domain.deciders import stream_of
from domain.policies import AnyReport
from domain.recorded import Recorded, Report
from domain.values import Value
from domain.wrong import first_wrong

E = TypeVar("E", bound=Value)

CONTENT_TYPE = "application/cloudevents+json"
SYSTEM = "taskloom"
"""Actors that begin with it are the system's own; nobody can take them over the bus."""

_SCHEMA_VERSION = CURRENT
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_LONGEST_ATTRIBUTE = 512
_OPTIONS = orjson.OPT_UTC_Z


def agent_actor(agent_id: str) -> str:
    """Return the actor that an agent is."""
    return f"agents/{agent_id}"


def encode_recorded(recorded: Recorded[Value]) -> bytes:
    """Return an event as it is published."""
    return orjson.dumps(_attributes(recorded) | {"data": _data(recorded.event)}, option=_OPTIONS)


def encode_reference(recorded: Recorded[Value]) -> bytes:
    """Return an event that is too large to be published: its attributes, and where its data is."""
    reference = {"dataref": f"/api/v1/events/{recorded.position}"}
    return orjson.dumps(_attributes(recorded) | reference, option=_OPTIONS)


def encode_report(report: Report[Value]) -> bytes:
    """Return a report as its sender publishes it."""
    actor = report.actor
    envelope: dict[str, object] = {
        "specversion": "1.0",
        "id": report.id,
        "source": actor if ":" in actor else f"/{actor}",
        "type": type_of(report.body),
        "subject": report.stream,
        "time": report.said_at,
        "datacontenttype": "application/json",
        "schemaversion": _SCHEMA_VERSION,
        "correlationid": report.correlation_id,
    }
    if report.causation_id is not None:
        envelope["causationid"] = report.causation_id
    if report.traceparent is not None:
        envelope["traceparent"] = report.traceparent
    envelope["data"] = _data(report.body)
    return orjson.dumps(envelope, option=_OPTIONS)


def decode_recorded(
    raw: bytes, registry: Mapping[str, type[E]], *, max_bytes: int = MAX_BYTES
) -> Recorded[E]:
    """Return the event that a message holds; fields from a newer sender are passed over.

    Raises:
        Unreadable: It is not an event of the registry.
    """
    envelope = _envelope(raw, max_bytes=max_bytes)
    model = _model(envelope, registry)
    return Recorded(
        id=_text(envelope, "id"),
        position=_number(envelope, "position"),
        stream=_text(envelope, "subject"),
        version=_number(envelope, "streamversion"),
        event=_validated(envelope, model, is_strict=False),
        at=_time(envelope),
        actor=_text(envelope, "actor"),
        correlation_id=_text(envelope, "correlationid"),
        causation_id=_optional_text(envelope, "causationid"),
        traceparent=_optional_text(envelope, "traceparent"),
        schema_version=_SCHEMA_VERSION,
    )


def decode_report(raw: bytes, registry: Mapping[str, type[E]]) -> Report[E]:
    """Return the report that a message holds, exactly as the schema of its type has it.

    Raises:
        Unreadable: It is not a report of the registry, or speaks for somebody else.
    """
    envelope = _envelope(raw)
    model = _model(envelope, registry)
    report_id = _text(envelope, "id")
    actor = _text(envelope, "source").removeprefix("/")
    said_at = _time(envelope)
    body = _validated(_up_to_date(envelope), model, is_strict=True)
    _refuse_impersonation(actor, body)
    stream = stream_of(cast("AnyReport", body))
    subject = _optional_text(envelope, "subject")
    if subject not in (None, stream):
        raise SubjectMismatch(f"the subject is {subject}, but the data speaks of {stream}")
    return Report(
        id=report_id,
        stream=stream,
        body=body,
        said_at=said_at,
        actor=actor,
        correlation_id=_optional_text(envelope, "correlationid") or report_id,
        causation_id=_optional_text(envelope, "causationid"),
        traceparent=_optional_text(envelope, "traceparent"),
    )


def type_of(body: Value) -> str:
    """Return the type of a report or an event."""
    return str(getattr(body, "type"))  # noqa: B009 # every one has it; the bound cannot say so


def _attributes(recorded: Recorded[Value]) -> dict[str, object]:
    attributes: dict[str, object] = {
        "specversion": "1.0",
        "id": recorded.id,
        "source": f"/{SYSTEM}/{recorded.stream}",
        "type": recorded.type,
        "subject": recorded.stream,
        "time": recorded.at,
        "datacontenttype": "application/json",
        "position": str(recorded.position),  # integers of CloudEvents have 32 bits
        "streamversion": recorded.version,
        "schemaversion": recorded.schema_version,
        "actor": recorded.actor,
        "correlationid": recorded.correlation_id,
    }
    if recorded.causation_id is not None:
        attributes["causationid"] = recorded.causation_id
    if recorded.traceparent is not None:
        attributes["traceparent"] = recorded.traceparent
    return attributes


def _data(body: Value) -> orjson.Fragment:
    return orjson.Fragment(body.__pydantic_serializer__.to_json(body, exclude={"type"}))


def _envelope(raw: bytes, *, max_bytes: int = MAX_BYTES) -> dict[str, JsonValue]:
    envelope = loads_strict(raw, max_bytes=max_bytes)
    if not isinstance(envelope, dict):
        raise NotAnObject("the body is JSON, but not an object; send a CloudEvent")
    version = envelope.get("specversion")
    if version != "1.0":
        if version is None:
            raise MissingAttribute("the CloudEvent lacks its specversion; it has to be '1.0'")
        raise UnsupportedSpecVersion(f"the specversion is {_shown(version)}; it has to be '1.0'")
    content_type = envelope.get("datacontenttype", "application/json")
    if content_type != "application/json" or "data_base64" in envelope:
        raise UnsupportedMediaType("the data has to be JSON: datacontenttype application/json")
    return envelope


def _model(envelope: dict[str, JsonValue], registry: Mapping[str, type[E]]) -> type[E]:
    name = _text(envelope, "type")
    model = registry.get(name)
    if model is None:
        raise UnknownType(f"nothing of the type {_shown(name)} can be said here")
    version = envelope.get("schemaversion", _SCHEMA_VERSION)
    if not understood(name, version):
        raise UnknownSchemaVersion(
            f"version {_shown(version)} of {name} is unknown here; {_SCHEMA_VERSION} is understood"
        )
    return model


def _validated(envelope: dict[str, JsonValue], model: type[E], *, is_strict: bool) -> E:
    data = envelope.get("data")
    if not isinstance(data, dict):
        raise BadSchema("/data: the CloudEvent has no object as its data")
    if "type" in data:
        raise BadSchema("/data/type: the type belongs to the CloudEvent, not to its data")
    try:
        if is_strict:
            # From JSON, not from Python: there strict allows a list for a tuple.
            return model.model_validate_json(orjson.dumps(data), strict=True)
        return validate_tolerantly(model, data)
    except ValidationError as error:
        where, why = first_wrong(error)
        pointer = "".join(f"/{_escaped(part)}" for part in where)
        raise BadSchema(f"/data{pointer}: {why}") from error


def _up_to_date(envelope: dict[str, JsonValue]) -> dict[str, JsonValue]:
    version, data = envelope.get("schemaversion", _SCHEMA_VERSION), envelope.get("data")
    if version == _SCHEMA_VERSION or not isinstance(version, int) or not isinstance(data, dict):
        return envelope
    earlier = up_to_date(_text(envelope, "type"), version, data)
    return {**envelope, "data": earlier}


def _refuse_impersonation(actor: str, body: Value) -> None:
    if actor.partition("/")[0].partition(".")[0].partition(":")[0] == SYSTEM:
        raise IdentityMismatch(f"the source is /{actor}; only the system itself is {SYSTEM}")
    agent_id = getattr(body, "agent_id", None)
    if agent_id is not None and actor != agent_actor(agent_id):
        raise IdentityMismatch(f"the source is /{actor}, but the data speaks for agent {agent_id}")


def _text(envelope: dict[str, JsonValue], name: str) -> str:
    value = envelope.get(name)
    if not isinstance(value, str) or not value:
        raise MissingAttribute(f"the CloudEvent lacks its {name}; it has to be a string")
    if len(value) > _LONGEST_ATTRIBUTE:
        raise MissingAttribute(
            f"the {name} has {len(value)} characters; at most {_LONGEST_ATTRIBUTE} are allowed"
        )
    return value


def _optional_text(envelope: dict[str, JsonValue], name: str) -> str | None:
    return None if envelope.get(name) is None else _text(envelope, name)


def _number(envelope: dict[str, JsonValue], name: str) -> int:
    value = envelope.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise MissingAttribute(f"the CloudEvent lacks its {name}; it has to be a whole number")


def _time(envelope: dict[str, JsonValue]) -> datetime:
    text = _text(envelope, "time")
    try:
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError as error:
        raise BadTime(f"the time {text!r} does not exist") from error
    raise BadTime(f"the time {_shown(text)} is not RFC 3339 with Z or an offset")


def _escaped(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
