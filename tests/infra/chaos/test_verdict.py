"""What makes a run prove nothing."""

from collections.abc import Mapping
from typing import Any

import pytest

from infra.chaos.checker import Views
from infra.chaos.evidence import Evidence
from infra.chaos.history import Line
from infra.chaos.verdict import lacking


def a_run(*fired: str, **wanted: Any) -> Evidence:
    plan: Mapping[str, Any] = {"tasks": 0, "kills": 60, "times": 0, "faults": {}} | wanted
    over = [Line(at=0, what="over", name=name, said={"fired": True}) for name in fired]
    return Evidence(
        lines=[Line(at=0, what="run", name="r", said=dict(plan)), *over],
        events=[],
        views=Views(runs={}, tasks={}),
        rebuilt=[],
        letters=[],
        effects=[],
        hits=[],
    )


@pytest.mark.parametrize(("times", "lacks"), [(0, ["0 processes were killed, of 60"]), (2, [])])
def test_kills_are_asked_for_where_faults_have_no_number_of_their_own(
    times: int, lacks: list[str]
) -> None:
    run = a_run("F-W5", "F-W5", times=times, faults={"F-W5": 2})
    assert [lack for lack in lacking(run) if "view" not in lack] == lacks


def test_a_fault_that_fired_too_rarely_is_named() -> None:
    run = a_run("F-W5", times=2, faults={"F-W5": 2})
    assert "F-W5 fired 1 times of 2" in lacking(run)
