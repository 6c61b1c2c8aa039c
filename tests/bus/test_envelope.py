"""The wire form: golden messages, the CloudEvents library, and every refusal."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from bus.envelope import decode_recorded, decode_report, encode_recorded, encode_report
from bus.refusals import (
    BadSchema,
    BadTime,
    IdentityMismatch,
    MissingAttribute,
    NotAnObject,
    SubjectMismatch,
    UnknownSchemaVersion,
    UnknownType,
    Unreadable,
    UnsupportedMediaType,
    UnsupportedSpecVersion,
)
from domain.deciders import EVENTS, PUBLIC_REPORTS
from domain.plan import PlanCreated
from domain.recorded import Recorded, Report
from tests.wire import messages

GOLDEN = Path(messages.__file__).parent
ENCODED: Mapping[str, bytes] = {
    name: encode_report(report) for name, report in messages.REPORTS.items()
} | {name: encode_recorded(event) for name, event in messages.EVENTS.items()}


@pytest.mark.parametrize("name", sorted(ENCODED))
def test_a_message_is_written_as_it_always_was(name: str) -> None:
    golden = GOLDEN / f"{name}.json"
    if not golden.exists():
        form = json.dumps(json.loads(ENCODED[name]), indent=2, ensure_ascii=False)
        golden.write_text(f"{form}\n", encoding="utf-8")
        pytest.fail(f"{golden.name} is new: look at it, and commit it")
    assert json.loads(ENCODED[name]) == json.loads(golden.read_bytes())


def test_no_kept_message_is_forgotten() -> None:
    assert {golden.stem for golden in GOLDEN.glob("*.json")} == {*ENCODED, *messages.EARLIER}


def test_every_public_report_is_among_the_kept_messages() -> None:
    kept = {report.body.type for report in messages.REPORTS.values()}
    assert kept == set(PUBLIC_REPORTS)


@pytest.mark.parametrize("name", sorted(messages.REPORTS))
def test_a_kept_report_is_read_as_what_was_said(name: str) -> None:
    raw = (GOLDEN / f"{name}.json").read_bytes()
    assert decode_report(raw, PUBLIC_REPORTS) == messages.REPORTS[name]


@pytest.mark.parametrize("name", sorted(messages.EVENTS | messages.EARLIER))
def test_a_kept_event_is_read_as_what_was_recorded(name: str) -> None:
    raw = (GOLDEN / f"{name}.json").read_bytes()
    assert decode_recorded(raw, EVENTS) == (messages.EVENTS | messages.EARLIER)[name]


@pytest.mark.parametrize("name", sorted(ENCODED))
def test_the_cloudevents_library_reads_our_messages(name: str) -> None:
    message: Report[Any] | Recorded[Any] = (messages.REPORTS | messages.EVENTS)[name]
    event = JSONFormat().read(CloudEvent, ENCODED[name])
    assert event.get_id() == message.id
    assert event.get_subject() == message.stream
    assert event.get_extension("correlationid") == "correlation-1"
    assert event.get_data() == json.loads(ENCODED[name])["data"]


def test_a_reader_passes_over_the_fields_of_a_newer_event() -> None:
    created = messages.EVENTS["event-plan.created"]
    envelope = json.loads(encode_recorded(created))
    envelope["data"]["later"] = 1
    envelope["data"]["goal"]["later"] = {"deep": True}
    envelope["laterattribute"] = "x"
    read = decode_recorded(json.dumps(envelope).encode(), EVENTS)
    assert read == created
    assert isinstance(read.event, PlanCreated)
    assert read.event.goal.constraints.model_extra == {"colour": "red"}


def altered(**changes: Any) -> bytes:
    """Return a report with some attributes changed, or left out where they are None."""
    envelope = json.loads(encode_report(messages.REPORTS["report-task.started"])) | changes
    return json.dumps({name: x for name, x in envelope.items() if x is not None}).encode()


STARTED: dict[str, Any] = messages.ATTEMPT


@pytest.mark.parametrize(
    ("raw", "refusal", "says"),
    [
        (b"[1]", NotAnObject, "not an object"),
        (altered(specversion="0.3"), UnsupportedSpecVersion, "0.3"),
        (altered(specversion=None), MissingAttribute, "specversion"),
        (altered(datacontenttype="text/xml"), UnsupportedMediaType, "JSON"),
        (altered(data_base64="AA=="), UnsupportedMediaType, "JSON"),
        (altered(id=None), MissingAttribute, "id"),
        (altered(id=""), MissingAttribute, "id"),
        (altered(id=7), MissingAttribute, "id"),
        (altered(id="x" * 600), MissingAttribute, "600"),
        (altered(type=None), MissingAttribute, "type"),
        (altered(source=None), MissingAttribute, "source"),
        (altered(time=None), MissingAttribute, "time"),
        (altered(time="yesterday"), BadTime, "yesterday"),
        (altered(time="2026-03-01T12:00:00"), BadTime, "offset"),
        (altered(time="2026-02-30T12:00:00Z"), BadTime, "does not exist"),
        (altered(type="task.lost"), UnknownType, "task.lost"),
        (altered(type="task.dispatched"), UnknownType, "task.dispatched"),
        (altered(schemaversion=2), UnknownSchemaVersion, "version 2"),
        (altered(schemaversion=True), UnknownSchemaVersion, "True"),
        (altered(data=None), BadSchema, "/data"),
        (altered(data=[]), BadSchema, "/data"),
        (altered(data=STARTED | {"type": "task.started"}), BadSchema, "/data/type"),
        (altered(data=STARTED | {"more": 1}), BadSchema, "/data/more"),
        (altered(data=STARTED | {"epoch": 0}), BadSchema, "/data/epoch"),
        (altered(data=STARTED | {"epoch": "2"}), BadSchema, "/data/epoch"),
        (altered(data=STARTED | {"epoch": True}), BadSchema, "/data/epoch"),
        (altered(data=STARTED | {"agent_id": "other"}), IdentityMismatch, "agent other"),
        (altered(source="/taskloom/exec_1"), IdentityMismatch, "only the system"),
        (altered(source="taskloom.policies"), IdentityMismatch, "only the system"),
        (altered(subject="exec_2"), SubjectMismatch, "exec_2"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_name(
    raw: bytes, refusal: type[Unreadable], says: str
) -> None:
    with pytest.raises(refusal, match=says):
        decode_report(raw, PUBLIC_REPORTS)


def test_every_refusal_has_a_code_of_its_own() -> None:
    codes = [refusal.code for refusal in Unreadable.__subclasses__()]
    assert len(set(codes)) == len(codes)
    assert "unreadable" not in codes


def test_a_report_without_a_correlation_begins_one() -> None:
    assert decode_report(altered(correlationid=None), PUBLIC_REPORTS).correlation_id == "report-3"
