"""Which rules a stream follows; one string for each event and each report."""

from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from domain import deciders
from domain.deciders import (
    AGENT,
    AUDIT,
    BREAKER,
    EVENTS,
    MESSAGE,
    PLAN,
    PUBLIC_REPORTS,
    RUN,
    SENDER,
    Decider,
    ForeignReport,
    decider_of,
    stream_of,
)
from domain.errors import Refused
from domain.policies import AnyReport, Event
from domain.values import Value

REPORTS: tuple[type[Value], ...] = get_args(AnyReport)


def type_string(model: type[Value]) -> str:
    return str(model.model_fields["type"].default)


@pytest.mark.parametrize(
    ("stream", "rules"),
    [
        ("plan_1", PLAN),
        ("exec_1", RUN),
        ("agent:ann", AGENT),
        ("breaker:execution.CAD", BREAKER),
        ("sender:agent.execution.cad", SENDER),
        ("audit:2026-11-27", AUDIT),
        ("message:m-1", MESSAGE),
    ],
    ids=["plan", "run", "agent", "breaker", "sender", "audit", "message"],
)
def test_a_stream_is_known_by_its_name(stream: str, rules: Decider) -> None:
    assert decider_of(stream) is rules


@pytest.mark.parametrize("stream", ["", "plan", "PLAN_1", "run_1", "agents:ann", "agent"])
def test_a_name_that_is_no_stream_is_refused(stream: str) -> None:
    with pytest.raises(Refused, match="not the name of a plan, a run or an agent"):
        decider_of(stream)


def test_every_event_has_exactly_one_string() -> None:
    events: tuple[type[Value], ...] = get_args(Event)
    assert len(EVENTS) == len(events)
    assert [name for name, count in Counter(map(type_string, events)).items() if count > 1] == []
    assert {type_string(event): event for event in events} == EVENTS


def test_every_report_has_exactly_one_string() -> None:
    assert Counter(map(type_string, REPORTS)).most_common(1)[0][1] == 1


def test_what_others_may_say_is_a_report_of_some_stream() -> None:
    heard = PLAN.reports | RUN.reports | AGENT.reports
    for name, model in PUBLIC_REPORTS.items():
        assert name == type_string(model)
        assert model in heard


def test_what_the_system_says_to_itself_cannot_be_said_by_others() -> None:
    private = {type_string(model) for model in REPORTS} - PUBLIC_REPORTS.keys()
    assert private >= {"task.lost", "run.requested", "run.started", "graph.proposed"}
    assert private >= {"breaker.opened", "breaker.half_opened", "breaker.closed"}
    assert private >= {"sender.offended", "sender.released"}
    assert "audit.noted" in private


@pytest.mark.parametrize("model", REPORTS, ids=type_string)
def test_every_report_has_a_stream_that_hears_it(model: type[Value]) -> None:
    ids = {"plan_id": "plan_1", "run_id": "exec_1", "agent_id": "ann"}
    ids |= {"role": "execution", "agent_type": "CAD", "sender": "agent.execution.cad"}
    ids |= {"day": "2026-11-27"}
    ids |= {"message_id": "m-1"}
    report: AnyReport = model.model_construct(None, **ids)  # type: ignore[assignment] # of the union
    assert model in decider_of(stream_of(report)).reports | PLAN.reports


def test_an_event_and_its_string_are_written_alike() -> None:
    for name, model in EVENTS.items():
        assert name == name.lower()
        words = name.replace("_", ".").split(".")
        assert "".join(word.capitalize() for word in words) == model.__name__


def test_a_foreign_report_names_itself_and_the_stream() -> None:
    assert str(ForeignReport("task.started", "plan_1")) == "plan_1 does not hear task.started"


def test_the_readme_names_every_event() -> None:
    readme = (Path(deciders.__file__).parent / "README.md").read_text(encoding="utf-8")
    rows = [line for line in readme.splitlines() if line.startswith("|")]
    named = {word.strip("`") for line in rows for word in line.split() if "." in word}
    assert EVENTS.keys() <= named, EVENTS.keys() - named
