"""How events are stored: what comes back, and what is refused by name."""

from dataclasses import replace

import orjson
import pytest
from eventsourcing.persistence import Notification, StoredEvent

from domain.deciders import EVENTS
from domain.errors import UnreadableStream
from domain.goals import Constraints, Goal, Options
from domain.plan import PlanCreated
from infra.store.mapping import CorruptEvent, UnknownTopic, from_stored, to_stored
from tests.support.histories import a_history
from tests.support.recording import hello, recorded

STORED = to_stored(recorded("agent:ann", 1, hello("ann")))


def changed(**changes: object) -> StoredEvent:
    return replace(STORED, **changes)  # type: ignore[arg-type] # fields of the stored event


def test_every_event_comes_back_as_it_was() -> None:
    seen: set[str] = set()
    for seed in range(6):
        for event in a_history(seed, plans=3, size=12, turns=150).events:
            back = from_stored(to_stored(event))
            assert back == replace(event, position=0)
            seen.add(event.type)
    assert len(seen) > len(EVENTS) / 2


def test_what_surrounds_an_event_comes_back_as_well() -> None:
    event = replace(
        recorded("agent:ann", 1, hello("ann")), causation_id="r-1", traceparent="00-1-1-01"
    )
    assert from_stored(to_stored(event)) == event


def test_a_goal_keeps_constraints_of_its_own() -> None:
    goal = Goal(title="Build", constraints=Constraints.model_validate({"weight_kg": 5}))
    event = recorded("plan_1", 1, PlanCreated(plan_id="plan_1", goal=goal, options=Options()))
    assert from_stored(to_stored(event)) == event


def test_a_notification_has_a_position() -> None:
    notification = Notification(
        id=42,
        originator_id=STORED.originator_id,
        originator_version=1,
        topic=STORED.topic,
        state=STORED.state,
    )
    assert from_stored(notification).position == 42


def test_the_topic_is_the_type_and_the_state_is_readable_json() -> None:
    assert STORED.topic == "agent.registered"
    state = orjson.loads(STORED.state)
    assert state["event"]["agent_id"] == "ann"
    assert state["meta"]["by"] == "users/ada"


def test_what_a_later_writer_added_is_passed_over() -> None:
    state = orjson.loads(STORED.state)
    state["event"]["mood"] = "good"
    state["event"]["capacity"]["hands"] = 2
    state["meta"]["moon"] = "full"
    assert from_stored(changed(state=orjson.dumps(state))) == from_stored(STORED)


@pytest.mark.proves("S-17a")
@pytest.mark.parametrize("topic", ["os:system", "domain.agent:AgentRegistered", "", "task.gone"])
def test_an_unknown_topic_is_an_error_that_says_which(topic: str) -> None:
    with pytest.raises(UnknownTopic) as error:
        from_stored(changed(topic=topic))
    assert f"event 1 of agent:ann is of the unknown type {topic!r}" in str(error.value)
    assert isinstance(error.value, UnreadableStream)


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"\xff\xfe",
        b"not json",
        b"[]",
        b"{}",
        b'{"meta":{}}',
        b'{"meta":{},"event":{}}',
        STORED.state.replace(b'"agent_id":"ann"', b'"agent_id":7'),
        STORED.state.replace(b'"at":"', b'"at":"x'),
        STORED.state.replace(b'"meta":{', b'"meta":{"id":null},"m":{'),
        orjson.dumps(orjson.loads(STORED.state) | {"event": "text"}),
        orjson.dumps(orjson.loads(STORED.state) | {"event": None}),
        orjson.dumps(orjson.loads(STORED.state) | {"meta": None}),
    ],
    ids=lambda state: str(len(state)) + state[:12].decode("latin-1"),
)
def test_a_corrupt_event_is_named(state: bytes) -> None:
    with pytest.raises(CorruptEvent, match="event 1 of agent:ann cannot be read: "):
        from_stored(changed(state=state))
