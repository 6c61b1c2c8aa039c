"""The checker finds what it is for: one that cannot fail proves nothing."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import psycopg
import pytest
from psycopg.types.json import Jsonb

from infra.chaos import checker
from infra.chaos.checker import Event
from projections.catalog import PROJECTED
from projections.positions import prepare
from tests.system.checker import require

RUN = "exec_1"
Change = Callable[[list[Event]], list[Event]]


def event(type_: str, **body: object) -> Event:
    return Event(position=0, stream=RUN, version=0, type=type_, body=body)


def of(task_id: str, what: str, epoch: int = 1, agent_id: str = "ann") -> Event:
    return event(f"task.{what}", task_id=task_id, epoch=epoch, agent_id=agent_id)


GOOD = [
    event(
        "run.started",
        kind="execution",
        tasks=[{"id": "a"}, {"id": "b", "depends_on": ["a"]}, {"id": "c", "inputs": {"x": "a"}}],
    ),
    of("a", "dispatched"),
    of("a", "started"),
    of("a", "lost"),
    of("a", "dispatched", 2),
    of("a", "started", 2, "bob"),
    event("report.ignored", task_id="a", epoch=1, agent_id="ann", report="task.completed"),
    of("a", "completed", 2, "bob"),
    of("b", "dispatched"),
    of("c", "dispatched"),
    of("c", "started"),
    of("c", "failed"),
    of("c", "dispatched", 2),
    of("c", "started", 2),
    of("c", "completed", 2),
    of("b", "started"),
    of("b", "completed"),
    event("run.completed"),
    event("report.ignored", task_id="a", epoch=1, agent_id="ann", report="task.failed"),
]


def numbered(events: Sequence[Event]) -> list[Event]:
    return [
        replace(one, position=2 * number, version=number)
        for number, one in enumerate(events, start=1)
    ]


def judged(events: Sequence[Event]) -> list[str]:
    runs, violations = checker.fold(events)
    return [*violations, *checker.streams(events), *checker.endless(runs)]


def without(number: int) -> Change:
    return lambda events: [*events[:number], *events[number + 1 :]]


def with_(number: int, *more: Event) -> Change:
    return lambda events: [*events[:number], *more, *events[number:]]


def instead(number: int, other: Event) -> Change:
    return lambda events: [*events[:number], other, *events[number + 1 :]]


def test_a_good_history_breaks_no_rule() -> None:
    assert judged(numbered(GOOD)) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        pytest.param(without(16), "task b of exec_1 is started for ever", id="never ended"),
        pytest.param(without(17), "run exec_1 has not ended", id="run never ended"),
        pytest.param(with_(17, of("b", "completed")), "b has ended: completed", id="ended twice"),
        pytest.param(with_(17, of("b", "lost")), "b has ended: completed", id="lost after its end"),
        pytest.param(
            with_(17, of("b", "dispatched", 2)), "needs no other attempt", id="again after its end"
        ),
        pytest.param(with_(4, of("b", "dispatched")), "b does not wait for a", id="too early"),
        pytest.param(
            with_(4, of("c", "dispatched")), "c does not wait for a", id="input too early"
        ),
        pytest.param(
            with_(5, of("a", "dispatched", 2)), "from epoch 2 to 2", id="same epoch twice"
        ),
        pytest.param(with_(4, of("a", "dispatched", 3)), "from epoch 1 to 3", id="epoch left out"),
        pytest.param(
            with_(6, of("a", "completed", 1)), "at epoch 2, not 1", id="late report counted"
        ),
        pytest.param(
            with_(6, of("a", "completed", 2)), "held by bob, not ann", id="foreign report"
        ),
        pytest.param(with_(2, of("a", "started")), "not dispatched", id="started twice"),
        pytest.param(without(2), "a is dispatched, not started", id="never started"),
        pytest.param(
            with_(18, event("run.failed")), "the run is completed already", id="run again"
        ),
        pytest.param(with_(1, GOOD[0]), "has started before", id="run started twice"),
        pytest.param(without(0), "the run has not started", id="run never started"),
        pytest.param(with_(1, of("z", "dispatched")), "there is no task z", id="no such task"),
        pytest.param(
            instead(16, of("b", "failed")),
            "is completed, but its task b is failed",
            id="completed in spite of a failure",
        ),
    ],
)
def test_a_broken_rule_is_found(change: Change, found: str) -> None:
    violations = judged(numbered(change(GOOD)))
    assert any(found in one for one in violations), violations


def revised(**changes: object) -> Event:
    """Return another graph: d does what b was to do, and c is to be tried again."""
    known: dict[str, object] = {
        "added": [{"id": "d", "depends_on": ["a"]}],
        "modified": [{"id": "c", "depends_on": ["d"]}],
        "removed": ["b"],
        "reopened": [],
        "was": {"b": "dispatched", "c": "failed"},
    }
    return event("run.revised", **(known | changes))


REVISED = [
    *GOOD[:12],
    event("replan.requested", task_id="c"),
    revised(),
    of("d", "dispatched"),
    of("d", "started"),
    event("report.ignored", task_id="b", epoch=1, agent_id="ann", report="task.started"),
    of("d", "completed"),
    of("c", "dispatched", 2),
    of("c", "started", 2),
    of("c", "completed", 2),
    event("run.completed"),
]


def test_another_graph_breaks_no_rule() -> None:
    assert judged(numbered(REVISED)) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            instead(13, revised(was={"a": "completed"}, modified=[{"id": "a"}], removed=[])),
            "another graph undoes it",
        ),
        (instead(13, revised(was={"b": "started", "c": "failed"})), "is dispatched, not started"),
        (instead(18, of("c", "dispatched", 1)), "from epoch 1 to 1"),
        (with_(15, of("c", "dispatched", 2)), "c does not wait for d"),
        (with_(14, of("b", "started")), "there is no task b"),
    ],
)
def test_a_rule_that_is_broken_with_another_graph_is_found(change: Change, found: str) -> None:
    violations = judged(numbered(change(REVISED)))
    assert any(found in one for one in violations), violations


def test_a_gap_in_a_stream_is_found() -> None:
    events = numbered(GOOD)
    violations = judged([*events[:-1], replace(events[-1], version=99)])
    assert violations == ["exec_1 has version 99 at position 38, where 19 was due"]


def test_two_events_at_one_position_are_found() -> None:
    events = numbered(GOOD)
    violations = judged([*events[:-1], replace(events[-1], position=36)])
    assert violations == ["position 36 is not above 36"]


async def test_views_that_differ_from_the_log_are_found(database: str) -> None:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await prepare(connection, PROJECTED)
        for one in numbered(GOOD):
            state = Jsonb({"event": one.body})
            await connection.execute(
                "insert into events (originator_id, originator_version, topic, state)"
                " values (%s, %s, %s, convert_to(%s::jsonb::text, 'utf8'))",
                [one.stream, one.version, one.type, state],
            )
    found = checker.check(database)
    assert len(found.runs[RUN].tasks) == 3
    assert [one.partition(";")[0] for one in found.violations] == [
        "the view shows run exec_1 as None",
        "the view shows task ('exec_1', 'a') as None",
        "the view shows task ('exec_1', 'b') as None",
        "the view shows task ('exec_1', 'c') as None",
    ]
    with pytest.raises(AssertionError, match="4 violations"):
        require(database)
