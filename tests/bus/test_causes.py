"""Letters that died of the same are one group, whatever they name."""

import orjson
import pytest

from bus.causes import cause_of, claims_of, shape_of, type_of

SAID = {
    "id": "x-1",
    "type": "task.completed",
    "source": "/agents/ada",
    "data": {"run_id": "exec_17", "agent_id": "ada", "task_id": "a", "epoch": 3},
}


@pytest.mark.parametrize(
    ("detail", "shape"),
    [
        ("there is no run exec_17", "there is no run {run_id}"),
        (
            "no agent ada has registered; report agent.registered first",
            "no agent {agent_id} has registered; report agent.registered first",
        ),
        ("the source is /agents/ada", "the source is {source}"),
        ("task a is at epoch 3; the report says 99", "task a is at epoch #; the report says #"),
        ("the message_id is 'b', the CloudEvent's id 'x-1'", "the message_id is '…', the"
         " CloudEvent's id '…'"),
        ("/data/tasks/12/name: Field required", "/data/tasks/#/name: Field required"),
        ("unexpected end of data: line 1 column 2", "unexpected end of data: line # column #"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_differs_from_letter_to_letter_is_left_out(detail: str, shape: str) -> None:
    assert shape_of(detail, SAID) == shape


def test_a_body_that_is_no_event_claims_nothing() -> None:
    for body in (b"", b"[]", b"{", b"\xff", b'{"a":1,"a":2}', b"[" * 200 + b"]" * 200):
        assert claims_of(body) == {}
    assert type_of({}, "task.started") == "task.started"
    assert type_of({"type": 7}, "task.started") == "task.started"
    assert type_of(claims_of(orjson.dumps(SAID)), "another.key") == "task.completed"


def test_a_value_that_is_a_pattern_or_a_book_does_no_harm() -> None:
    data = {"pattern": "(a+)+$", "book": "x" * 100_000, "nul": None, "list": [1]}
    shape = shape_of("it says (a+)+$ and more", {"data": data})
    assert shape == "it says {pattern} and more"


def test_a_cause_is_what_it_died_of_and_where() -> None:
    told = {"reason": "r", "shape": "s", "exchange": "e", "queue": "q", "type": "t"}
    cause = cause_of(**told)
    assert cause == cause_of(**told)
    assert len({cause, *(cause_of(**{**told, name: "x"}) for name in told)}) == 6
