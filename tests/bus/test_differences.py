"""An edit says what it changes, in lines that a person reads."""

from datetime import UTC, datetime

import orjson

from bus.differences import MOST_LINES, differences
from bus.letters import Edit, KeptLetter

NOW = datetime(2026, 1, 20, tzinfo=UTC)


def letter(body: bytes, **changes: object) -> KeptLetter:
    known: dict[str, object] = {
        "id": 17,
        "message_id": "m",
        "reason": "schema",
        "detail": "",
        "exchange": "taskloom.reports",
        "routing_key": "task.started",
        "queue": "taskloom.reports",
        "headers": {},
        "properties": {"content_type": "application/cloudevents+json", "content_encoding": None},
        "body": body,
        "died_at": NOW,
        "fingerprint": "f",
        "type": "task.started",
        "shape": "",
        "cause": "c",
        "status": "kept",
        "first_died_at": NOW,
        "deaths": 1,
        "redrives": 2,
        "edits": 0,
        "edited_body": None,
        "edited": {},
        "redrive": None,
    }
    return KeptLetter(**(known | changes))  # type: ignore[arg-type]


def changed(old: object, new: object) -> list[str]:
    return differences(letter(orjson.dumps(old)), Edit(body=orjson.dumps(new)))


def test_json_differs_member_by_member() -> None:
    old = {"a": 1, "b": {"c": [1, 2, 3], "d/e": True}, "gone": None}
    new = {"a": "1", "b": {"c": [1, 5], "d/e": True}, "new": {"x": 1}}
    assert changed(old, new) == [
        '/a: 1 → "1"',
        "/b/c/1: 2 → 5",
        "- /b/c/2: 3",
        "- /gone: null",
        '+ /new: {"x":1}',
    ]


def test_true_is_not_one_and_a_list_is_no_object() -> None:
    assert changed({"a": 1}, {"a": True}) == ["/a: 1 → true"]
    assert changed([1], {"0": 1}) == ['/: [1] → {"0":1}']


def test_what_is_no_json_is_told_as_a_whole() -> None:
    told = differences(letter(b"\xff\x00"), Edit(body=b"a text"))
    assert told == [
        'body: 2 bytes, sha256 ea5dbf9596d187e9 → "a text"',
    ]


def test_the_same_is_no_difference_and_other_spaces_are_one() -> None:
    assert differences(letter(b'{"a":1}'), Edit(body=b'{"a":1}')) == []
    assert differences(letter(b'{"a":1}'), Edit(body=b'{"a": 1}')) == [
        "body: the same JSON, written otherwise"
    ]
    assert differences(letter(b"{}"), Edit(message_id="m", routing_key="task.started")) == []
    assert differences(letter(b"{}"), Edit(message_id="n")) == ['message_id: "m" → "n"']


def test_a_difference_without_end_is_cut() -> None:
    lines = changed({str(n): 1 for n in range(1_000)}, {})
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == "… and 800 more"
    (wide,) = changed({"a": "x" * 10_000}, {"a": "y" * 10_000})
    assert len(wide) < 500


def test_what_is_sent_again_is_the_message_under_its_own_id() -> None:
    message = letter(b"{}").message()
    assert (message.exchange, message.key, message.message_id, message.body) == (
        "taskloom.reports",
        "task.started",
        "m",
        b"{}",
    )
    assert message.headers == {"x-taskloom-redrive": "17/2"}
    assert message.mandatory
    edited = letter(b"{}", edited_body=b"[]", edited={"message_id": "n"}).message()
    assert (edited.body, edited.message_id) == (b"[]", "n")


def test_what_amqp_cannot_carry_beside_a_body_is_cut() -> None:
    message = letter(b"", message_id="é" * 200, type="x" * 1_000).message()
    assert len(message.message_id.encode()) == 254
    assert len(message.type) == 255
