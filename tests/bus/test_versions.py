"""Agents of the version before keep working beside those of this one."""

import pytest

from bus.envelope import decode_report
from bus.refusals import BadSchema, UnknownSchemaVersion
from bus.versions import STEPS
from domain.deciders import PUBLIC_REPORTS
from domain.run_events import RunRequested
from domain.tasks import Task
from tests.support.inboxes import World, delivery, report
from tests.support.recorders import recording
from tests.support.recording import said

RUN = "exec_1"


def of_before(type_: str, agent_id: str, task_id: str, **more: object) -> dict[str, object]:
    """Return what an agent of the version before says of an attempt."""
    data = {"execution_id": RUN, "task_id": task_id, "attempt": 1, "agent_id": agent_id} | more
    envelope = report(type_, data, ident=f"{type_}-{task_id}", source=f"/agents/{agent_id}")
    return envelope | {"schemaversion": 0}


def of_today(type_: str, agent_id: str, task_id: str, **more: object) -> dict[str, object]:
    data = {"run_id": RUN, "task_id": task_id, "epoch": 1, "agent_id": agent_id} | more
    return report(type_, data, ident=f"{type_}-{task_id}", source=f"/agents/{agent_id}")


async def test_agents_of_both_versions_carry_out_one_run() -> None:
    world = World()
    body = RunRequested(
        run_id=RUN,
        plan_id="plan_1",
        kind="execution",
        tasks=(
            Task(id="a", name="A", agent="CAD"),
            Task(id="b", name="B", agent="SIM", depends_on=("a",)),
            Task(id="c", name="C", agent="CAD", depends_on=("b",)),
        ),
    )
    async with recording(world.store, clock=world.clock) as recorder:
        await recorder.record(said(body, report_id="run", stream=RUN))
    story = [
        of_before("task.started", "old", "a"),
        of_before("task.completed", "old", "a", output={"n": 1}),
        of_today("task.started", "new", "b"),
        of_today("task.completed", "new", "b", result={"n": 2}),
        of_before("task.started", "old", "c"),
        of_before("task.failed", "old", "c", error="no", error_type="business"),
    ]
    assert await world.hear([delivery(one) for one in story]) == []
    results = {
        event.event.task_id: event.event.result
        for event in world.store.events
        if event.type == "task.completed"
    }
    assert results == {"a": {"n": 1}, "b": {"n": 2}}
    failed = next(event.event for event in world.store.events if event.type == "task.failed")
    assert (failed.reason, failed.error_class) == ("no", "business")


def raw(envelope: dict[str, object]) -> bytes:
    return delivery(envelope).body


def test_both_words_for_one_thing_are_refused() -> None:
    twice = of_before("task.started", "old", "a", run_id="exec_2")
    with pytest.raises(BadSchema, match="execution_id"):
        decode_report(raw(twice), PUBLIC_REPORTS)


def test_the_words_of_before_are_refused_in_what_says_to_be_of_today() -> None:
    mixed = of_before("task.started", "old", "a") | {"schemaversion": 1}
    with pytest.raises(BadSchema):
        decode_report(raw(mixed), PUBLIC_REPORTS)


@pytest.mark.parametrize("version", [-1, 2, True, False, "0", 0.5, None, 10**18])
def test_no_other_version_is_understood(version: object) -> None:
    other = of_before("task.started", "old", "a") | {"schemaversion": version}
    with pytest.raises(UnknownSchemaVersion):
        decode_report(raw(other), PUBLIC_REPORTS)


def test_only_reports_have_earlier_versions() -> None:
    assert {name for name, _ in STEPS} <= PUBLIC_REPORTS.keys()
    goal = of_before("goal.submitted", "old", "a")
    with pytest.raises(UnknownSchemaVersion):
        decode_report(raw(goal), PUBLIC_REPORTS)
