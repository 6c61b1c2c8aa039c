"""Dead letters over HTTP, without a broker: what is decided is kept until one is there."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import orjson
import pytest

from bus.dead_letter_keeper import DeadLetter
from domain.agent import AgentRegistered
from infra.store.dead_letters import DeadLetterTable
from tests.api.conftest import System
from tests.support.buried import goodbye, hello

BASE = "/api/v1/dead-letters"
NOW = datetime(2026, 1, 20, 12, 0, tzinfo=UTC)


def dead(number: int, body: bytes, **changes: Any) -> DeadLetter:
    known: dict[str, Any] = {
        "message_id": f"m{number}",
        "reason": "unknown-agent",
        "detail": f"no agent a{number} has registered",
        "exchange": "taskloom.reports",
        "routing_key": "agent.deregistered",
        "queue": "taskloom.reports",
        "headers": {"number": number},
        "properties": {"content_type": "application/cloudevents+json", "message_id": str(number)},
        "body": body,
        "died_at": NOW + timedelta(minutes=number),
        "type": "agent.deregistered",
        "shape": "no agent {agent_id} has registered",
        "is_redelivered": False,
        "earlier": None,
    }
    return DeadLetter(**(known | changes))


def report(number: int) -> bytes:
    return orjson.dumps(goodbye(f"a{number}") | {"id": f"m{number}"})


@pytest.fixture
async def numbers(system: System) -> Sequence[int]:
    """The numbers of six letters: four of one cause, one broken, one that came from the events."""
    letters = [dead(number, report(number)) for number in range(4)]
    letters.append(dead(4, b"\xff{", reason="malformed-json", shape="", detail="", type="x"))
    letters.append(dead(5, b"{}", exchange="taskloom.events", queue="theirs"))
    table = DeadLetterTable(system.pool)
    await table.keep(letters)
    return [letter.id for letter in await table.some()]


async def get(system: System, path: str, **query: Any) -> Any:
    answer = await system.http.get(f"{BASE}{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def post(system: System, path: str, body: Any, *, status: int = 200) -> Any:
    answer = await system.http.post(f"{BASE}{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_letters_are_listed_page_by_page_the_latest_first(
    system: System, numbers: Sequence[int]
) -> None:
    first = await get(system, "", limit=4)
    rest = await get(system, "", limit=4, cursor=first["next_cursor"])
    listed = [*first["dead_letters"], *rest["dead_letters"]]
    assert [letter["id"] for letter in listed] == list(reversed(numbers))
    assert rest["next_cursor"] is None
    assert "body" not in listed[0]
    assert listed[-1]["died_at"] == "2026-01-20T12:00:00Z"


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"reason": "malformed-json"}, 1),
        ({"queue": "theirs"}, 1),
        ({"type": "agent.deregistered"}, 5),
        ({"since": "2026-01-20T12:04:00Z"}, 2),
        ({"status": "accepted"}, 0),
        ({"status": "all", "reason": "unknown-agent", "queue": "taskloom.reports"}, 4),
    ],
)
async def test_letters_are_chosen_by_what_is_known_of_them(
    system: System, numbers: Sequence[int], query: dict[str, str], count: int
) -> None:
    assert len((await get(system, "", **query))["dead_letters"]) == count


async def test_groups_say_what_letters_died_of(system: System, numbers: Sequence[int]) -> None:
    groups = (await get(system, "/groups"))["groups"]
    assert [group["count"] for group in groups] == [4, 1, 1]
    assert groups[0]["reason"] == "unknown-agent"
    assert groups[0]["detail"] == "no agent {agent_id} has registered"
    assert groups[0]["first_died_at"] == "2026-01-20T12:00:00Z"
    assert groups[0]["last_died_at"] == "2026-01-20T12:03:00Z"
    assert groups[0]["example"] == numbers[3]
    inside = await get(system, "", group=groups[0]["group"])
    assert [letter["id"] for letter in inside["dead_letters"]] == list(reversed(numbers[:4]))


async def test_a_letter_shows_its_body_as_json_or_in_base64(
    system: System, numbers: Sequence[int]
) -> None:
    good = await get(system, f"/{numbers[0]}")
    assert good["body"] == json.loads(report(0))
    assert [entry["kind"] for entry in good["history"]] == ["died"]
    broken = await get(system, f"/{numbers[4]}")
    assert (broken["body"], broken["body_base64"]) == (None, base64.b64encode(b"\xff{").decode())


@pytest.mark.proves("A-07")
async def test_a_type_that_nobody_knew_when_it_came_is_accepted_once_it_is_known(
    system: System,
) -> None:
    said = report(0)
    of_later = orjson.dumps(orjson.loads(said) | {"type": "agent.promoted"})
    table = DeadLetterTable(system.pool)
    await table.keep(
        [dead(number, body, reason="unknown-type") for number, body in enumerate((said, of_later))]
    )
    await system.say(AgentRegistered.model_validate(hello("a0")["data"]))
    answer = await get(system, "/rehearsal")
    assert [verdict["answer"] for verdict in answer["verdicts"]] == ["accepted", "refused"]
    assert answer["verdicts"][1]["reason"] == "unknown-type"


async def test_the_rehearsal_says_what_would_be_accepted(
    system: System, numbers: Sequence[int]
) -> None:
    for number in (0, 2):
        said = hello(f"a{number}")["data"]
        await system.say(AgentRegistered.model_validate(said))
    answer = await get(system, "/rehearsal")
    assert [verdict["answer"] for verdict in answer["verdicts"]] == [
        "accepted",
        "refused",
        "accepted",
        "refused",
        "refused",
        "refused",
    ]
    assert answer["counts"] == {"accepted": 2, "refused": 4}
    assert answer["verdicts"][1]["reason"] == "unknown-agent"
    assert answer["verdicts"][5]["reason"] == "not-redrivable"
    after = await get(system, "/rehearsal", cursor=answer["next_cursor"])
    assert (after["verdicts"], after["next_cursor"]) == ([], None)


async def test_an_export_has_everything_a_line_a_letter(
    system: System, numbers: Sequence[int]
) -> None:
    answer = await system.http.get(f"{BASE}/export")
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["id"] for line in lines] == list(numbers)
    assert lines[1]["body"] == json.loads(report(1))
    assert lines[4]["body_base64"] == "/3s="
    assert lines[2]["headers"] == {"number": 2}


async def test_an_edit_keeps_what_came_and_what_it_changed(
    system: System, numbers: Sequence[int]
) -> None:
    path = f"/{numbers[0]}"
    asked = {"body": {"a": 1}, "message_id": "other", "why": "a typo", "edits": 0}
    edited = await post(system, f"{path}/edit", asked)
    assert (edited["body"], edited["message_id"], edited["edits"]) == ({"a": 1}, "other", 1)
    shown = await get(system, path)
    assert shown["original"] == json.loads(report(0))
    entry = shown["history"][-1]
    assert (entry["kind"], entry["why"], entry["actor"]) == ("edited", "a typo", "users/usr_local")
    assert entry["diff"][0] == 'message_id: "m0" → "other"'
    assert "+ /a: 1" in entry["diff"]
    refused = await post(system, f"{path}/edit", asked, status=409)
    assert refused["code"] == "dead-letter-edited"
    exact = {"body_base64": base64.b64encode(b"\x00\x01").decode()}
    assert (await post(system, f"{path}/edit", exact))["body_base64"] == "AAE="


async def test_a_discarded_letter_says_why(system: System, numbers: Sequence[int]) -> None:
    path = f"/{numbers[0]}"
    assert (await post(system, f"{path}/discard", {}, status=422))["code"] == "invalid"
    assert (await post(system, f"{path}/discard", {"reason": ""}, status=422))["code"] == "invalid"
    answer = await post(system, f"{path}/discard", {"reason": "a test"})
    assert answer["status"] == "discarded"
    assert answer["history"][-1]["why"] == "a test"
    # Asked twice, done once.
    again = await post(system, f"{path}/discard", {"reason": "another"})
    assert len(again["history"]) == 2
    many = {"chosen": {"reason": "unknown-agent"}, "reason": "all of them"}
    assert await post(system, "/discard", many) == {"discarded": 4, "more": False}
    assert len((await get(system, "", status="discarded"))["dead_letters"]) == 5


async def test_a_redrive_is_accepted_without_a_broker_and_can_be_followed_and_cancelled(
    system: System, numbers: Sequence[int]
) -> None:
    asked = {"chosen": {"reason": "unknown-agent"}, "rate": 5, "canary": 2, "why": "again"}
    headers = {"Idempotency-Key": "k1"}
    accepted = await system.http.post(f"{BASE}/redrives", json=asked, headers=headers)
    assert accepted.status_code == 202
    redrive = accepted.json()
    assert (redrive["status"], redrive["total"], redrive["claimed"]) == ("running", 4, 0)
    assert (redrive["rate"], redrive["canary"], redrive["why"]) == (5.0, 2, "again")
    twice = await system.http.post(f"{BASE}/redrives", json=asked, headers=headers)
    assert twice.json()["redrive_id"] == redrive["redrive_id"]
    place = accepted.headers["Location"]
    assert (await system.http.get(place)).json() == redrive
    cancelled = await system.http.delete(place)
    assert cancelled.json()["status"] == "cancelled"
    one = await post(system, f"/{numbers[1]}/redrive", {"why": "once more"}, status=202)
    assert (one["total"], one["chosen"]) == (1, {"ids": [numbers[1]]})
    page = await get(system, "/redrives", limit=1)
    assert [shown["redrive_id"] for shown in page["redrives"]] == [one["redrive_id"]]
    rest = await get(system, "/redrives", cursor=page["next_cursor"])
    assert [shown["status"] for shown in rest["redrives"]] == ["cancelled"]


async def test_what_cannot_be_decided_is_refused_by_name(
    system: System, numbers: Sequence[int]
) -> None:
    http = system.http
    for answer, status, code in (
        (await http.get(f"{BASE}/999"), 404, "unknown-dead-letter"),
        (await http.get(f"{BASE}/redrives/999"), 404, "unknown-redrive"),
        (await http.delete(f"{BASE}/redrives/999"), 404, "unknown-redrive"),
        (await http.post(f"{BASE}/999/discard", json={"reason": "x"}), 404, "unknown-dead-letter"),
        (await http.post(f"{BASE}/999/edit", json={"body": 1}), 404, "unknown-dead-letter"),
        (await http.post(f"{BASE}/999/redrive"), 404, "unknown-dead-letter"),
        (await http.post(f"{BASE}/{numbers[5]}/redrive"), 422, "not-redrivable"),
        (
            await http.post(f"{BASE}/redrives", json={"chosen": {"reason": "none"}}),
            404,
            "no-such-letters",
        ),
    ):
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "?limit=501", None),
        ("GET", "?since=yesterday", None),
        ("GET", "?since=2026-01-20T12:00:00", None),
        ("GET", "?status=lost", None),
        ("GET", "/0", None),
        ("GET", "/99999999999999999999", None),
        ("POST", "/redrives", {"rate": 0}),
        ("POST", "/redrives", {"canary": 1_001}),
        ("POST", "/redrives", {"chosen": {"colour": "red"}}),
        ("POST", "/redrives", {"chosen": {"ids": list(range(1, 1_002))}}),
        ("POST", "/redrives", {"why": "x" * 501}),
        ("POST", "/discard", {"reason": "all"}),
        ("POST", "/1/edit", {"body_base64": "not base64!"}),
    ],
)
async def test_a_bad_question_goes_no_further(
    front: httpx2.AsyncClient, method: str, path: str, body: Any
) -> None:
    answer = await front.request(method, f"{BASE}{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_a_cursor_that_is_not_ours_is_refused(front: httpx2.AsyncClient) -> None:
    for cursor in ("x", "-1", "99999999999999999999", "²"):
        answer = await front.get(BASE, params={"cursor": cursor})
        assert answer.json()["code"] == "bad-cursor"
