"""The description of the bus is whole, true, and takes nothing away."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it has no types

from bus import asyncapi
from bus.asyncapi import document
from bus.envelope import encode_recorded, encode_report
from bus.topology import EXCHANGES
from domain.deciders import EVENTS, PUBLIC_REPORTS
from domain.plan import PlanCancelled, PlanCancelRequested
from domain.recorded import Recorded, Report

RELEASED = Path(asyncapi.__file__).with_name("asyncapi.json")
AT = datetime(2026, 1, 31, tzinfo=UTC)


def refs(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for each in part.values():
            yield from refs(each)
    elif isinstance(part, list):
        for each in part:
            yield from refs(each)


def found(described: Any, ref: str) -> Any:
    for step in ref.removeprefix("#/").split("/"):
        described = described[step]
    return described


def test_every_exchange_and_message_is_described_and_every_reference_leads_somewhere() -> None:
    described = document("1")
    assert described["asyncapi"] == "3.0.0"
    assert set(described["channels"]) == {exchange.name for exchange in EXCHANGES}
    names = [message["name"] for message in described["components"]["messages"].values()]
    assert set(names) >= EVENTS.keys() | PUBLIC_REPORTS.keys()
    for ref in refs(described):
        assert found(described, ref) is not None
    for operation in described["operations"].values():
        assert operation["action"] in ("send", "receive")
    for message in described["components"]["messages"].values():
        Draft202012Validator.check_schema(message["payload"])


def test_what_is_sent_is_as_described() -> None:
    described = document("1")

    def accepts(message: str, raw: bytes) -> bool:
        payload = described["components"]["messages"][message]["payload"]
        whole = payload | {"components": described["components"]}
        return bool(Draft202012Validator(whole).is_valid(json.loads(raw)))

    cancelled = PlanCancelled(plan_id="plan_1", reason="late", runs=())
    event = Recorded(
        id="e1", position=1, stream="plan_1", version=1, event=cancelled, at=AT,
        actor="users/ann", correlation_id="c",
    )  # fmt: skip
    asked = Report(
        id="r1", stream="plan_1", body=PlanCancelRequested(plan_id="plan_1"), said_at=AT,
        actor="users/ann", correlation_id="c",
    )  # fmt: skip
    assert accepts("events_plan_cancelled", encode_recorded(event))
    assert not accepts("events_plan_completed", encode_recorded(event))
    assert accepts("reports_plan_cancel_requested", encode_report(asked))


def test_fields_say_what_they_are_for() -> None:
    schemas = document("1")["components"]["schemas"]
    assert schemas["Goal"]["properties"]["context"]["description"]
    assert schemas["TaskDispatched"]["properties"]["epoch"].get("description") is None


def test_nothing_is_taken_away_from_those_who_rely_on_it() -> None:
    was, now = json.loads(RELEASED.read_text()), document("1")
    for name, channel in was["channels"].items():
        assert channel["messages"].keys() <= now["channels"][name]["messages"].keys(), name
    for name, schema in was["components"]["schemas"].items():
        kept = now["components"]["schemas"][name]
        assert schema.get("properties", {}).keys() <= kept.get("properties", {}).keys(), name
