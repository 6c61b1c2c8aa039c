"""Bad input is refused, by name, before it can do harm: one row for each way to be bad.

The rows are those that brought a naive service down, or that it swallowed. A body goes to the
front of the API, with nothing behind it: a row that got further would fail.
"""

import json
from collections.abc import AsyncIterator, Mapping
from types import NoneType
from typing import Any, get_args

import httpx2
import pytest

from api.access import routes_of
from api.asked import Asked, in_few_words
from tests.api.conftest import app_alone
from tests.api.test_plans import GOAL

CREATE = "/api/v1/plans/create"
START = "/api/v1/executions/start"
REPLAN = "/api/v1/plans/plan_1/replan"
JSON = {"Content-Type": "application/json"}
MANY = 100_000


def goal(**changes: Any) -> bytes:
    return json.dumps({"goal": GOAL | changes}).encode()


def option(**options: Any) -> bytes:
    return json.dumps({"goal": GOAL, "options": options}).encode()


def task(**changes: Any) -> bytes:
    one = {"id": "a", "name": "Draw", "agent": "CAD"} | changes
    return json.dumps({"goal": GOAL, "task_graph": {"tasks": [one]}}).encode()


def execution(**options: Any) -> bytes:
    return json.dumps({"plan_id": "plan_1", "options": options}).encode()


def delay(allowed: Any) -> bytes:
    return json.dumps({"constraints": {"max_delay": allowed}}).encode()


def tight(raw: bytes) -> bytes:
    """Return JSON as fast writers have it, which is read by the fast reader."""
    return json.dumps(json.loads(raw), separators=(",", ":")).encode()


BODIES = [
    # numbers
    ("NaN in a number", CREATE, goal().replace(b"100000", b"NaN"), 422, "non-finite-number"),
    ("NaN in free JSON", CREATE, goal(context={"mass": float("nan")}), 422, "non-finite-number"),
    ("1e999 in a number", CREATE, goal().replace(b"100000", b"1e999"), 422, "non-finite-number"),
    ("100,000 digits", CREATE, goal().replace(b"100000", b"9" * MANY), 422, "number-too-large"),
    ("4,000 digits", CREATE, goal().replace(b"100000", b"9" * 4_000), 422, "number-too-large"),
    ("2**63", CREATE, goal(context={"n": 2**63}), 422, "number-too-large"),
    ("2**63, tightly", CREATE, tight(goal(context={"n": 2**63})), 422, "number-too-large"),
    # text
    ("half a character", CREATE, goal(title="\ud800"), 422, "invalid-unicode"),
    ("half a character in free JSON", CREATE, goal(context={"\ud800": 1}), 422, "invalid-unicode"),
    ("a null character", CREATE, goal(title="a\0b"), 422, "invalid-unicode"),
    ("a null character in free JSON", CREATE, goal(context={"a": "\0"}), 422, "invalid-unicode"),
    ("a null character, tightly", CREATE, tight(goal(title="a\0b")), 422, "invalid-unicode"),
    ("not UTF-8", CREATE, b'{"goal": "\xff"}', 422, "invalid-unicode"),
    # shape
    ("65 levels", CREATE, b'{"goal": ' + b"[" * 64 + b"]" * 64 + b"}", 422, "too-deep"),
    ("900 levels", CREATE, b'{"goal": ' + b"[" * 900 + b"]" * 900 + b"}", 422, "too-deep"),
    ("50,000 levels", CREATE, b"[" * 50_000 + b"]" * 50_000, 422, "too-deep"),
    ("50,000 levels without an end", CREATE, b'{"a":' * 50_000, 422, "too-deep"),
    ("a key twice", CREATE, b'{"goal": {}, "goal": {}}', 400, "duplicate-key"),
    ("a key twice further in", CREATE, b'{"goal": {"a": 1, "a": 1}}', 400, "duplicate-key"),
    ("half an object", CREATE, b"{", 400, "malformed-json"),
    ("an array", CREATE, b"[]", 422, "invalid"),
    ("nothing", CREATE, b"", 422, "invalid"),
    ("a field that nobody knows", CREATE, goal(role="admin"), 422, "invalid"),
    ("such a field beside the goal", CREATE, goal()[:-1] + b', "role": "admin"}', 422, "invalid"),
    # flags, which are true or false
    ("0 for no", CREATE, option(enable_replanning=0), 422, "invalid"),
    ("1 for yes", CREATE, option(auto_execute=1), 422, "invalid"),
    ("yes in words", CREATE, option(review="yes"), 422, "invalid"),
    ("1 for a deliverable", CREATE, task(deliverable=1), 422, "invalid"),
    ("a dry run of 1", START, execution(dry_run=1), 422, "invalid"),
    ("only those of 1", "/api/v1/dead-letters/redrives",
     b'{"chosen": {"ids": [1]}, "only_accepted": 1}', 422, "invalid"),
    # sizes
    ("16 MiB and a byte", CREATE, b" " * (16 * 2**20 + 1), 413, "too-large"),
    ("1 MiB and a byte", START, b" " * (2**20 + 1), 413, "too-large"),
    ("10**5 letters at once", "/api/v1/dead-letters/discard",
     json.dumps({"reason": "x", "chosen": {"ids": [1] * MANY}}).encode(), 422, "invalid"),
    ("1,001 letters at once", "/api/v1/dead-letters/redrives",
     json.dumps({"chosen": {"ids": list(range(1, 1_002))}}).encode(), 422, "invalid"),
    # bounds: budgets, deadlines, priorities, retries
    ("a negative budget", CREATE, goal(constraints={"budget": -1}), 422, "invalid"),
    ("an unknown priority", CREATE, goal(priority="urgent"), 422, "invalid"),
    ("a negative priority", CREATE, goal(priority=-1), 422, "invalid"),
    ("no attempts", CREATE, task(retry={"attempts": 0}), 422, "invalid"),
    ("10**9 attempts", CREATE, task(retry={"attempts": 10**9}), 422, "invalid"),
    ("lost less than never", CREATE, task(retry={"lost": -1}), 422, "invalid"),
    ("lost 10**9 times", CREATE, task(retry={"lost": 10**9}), 422, "invalid"),
    ("a beat in no time", CREATE, task(timeouts={"heartbeat": 0}), 422, "invalid"),
    ("a beat in ages", CREATE, task(timeouts={"heartbeat": 10**9}), 422, "invalid"),
    ("a deadline before it begins", CREATE,
     task(gather={"rule": "deadline", "seconds": -1}), 422, "invalid"),
    ("a quorum of nobody", CREATE, task(gather={"rule": "quorum", "answers": 0}), 422, "invalid"),
    ("a quorum of 10**9", CREATE, task(gather={"rule": "quorum", "answers": 10**9}), 422,
     "invalid"),
    ("no time to run", CREATE, task(timeouts={"run": 0}), 422, "invalid"),
    ("a negative timeout", CREATE, task(timeouts={"total": -1}), 422, "invalid"),
    ("a timeout of ages", CREATE, task(timeouts={"start": 10**12}), 422, "invalid"),
    ("a negative duration", CREATE, task(duration=-1), 422, "invalid"),
    ("a duration of ages", CREATE, task(duration="P999999999D"), 422, "invalid"),
    ("a duration in riddles", CREATE, task(duration="soon"), 422, "invalid"),
    ("a negative cost", CREATE, task(cost=-1), 422, "invalid"),
    ("a solver for ever", CREATE, option(optimize=10**9), 422, "invalid"),
    ("a negative solver", CREATE, option(optimize=-1), 422, "invalid"),
    ("less than no tokens", CREATE, task(budget={"tokens": -1}), 422, "invalid"),
    ("a negative bound of costs", CREATE, task(budget={"cost": -1}), 422, "invalid"),
    ("a bound of 10**12 dollars", CREATE, task(budget={"cost": 10**12}), 422, "invalid"),
    ("no place in a plan", CREATE, option(execution={"limits": {"CAD": 0}}), 422, "invalid"),
    ("10**9 places in a plan", CREATE, option(execution={"limits": {"CAD": 10**9}}), 422,
     "invalid"),
    ("checkpoints of a plan without a pause", CREATE,
     option(execution={"checkpoint_interval": 0}), 422, "invalid"),
    ("no place at all", START, execution(limits={"CAD": 0}), 422, "invalid"),
    ("10**9 places", START, execution(limits={"CAD": 10**9}), 422, "invalid"),
    ("checkpoints without a pause", START, execution(checkpoint_interval=0), 422, "invalid"),
    ("a delay of nothing", REPLAN, delay(0), 422, "invalid"),
    ("a negative delay", REPLAN, delay("-PT1H"), 422, "invalid"),
    ("a delay of ages", REPLAN, delay("P999999999D"), 422, "invalid"),
]  # fmt: skip


@pytest.mark.proves("H-01", "H-02", "H-03", "H-04", "H-06", "H-07", "H-08", "H-18", "H-19", "H-20")
@pytest.mark.parametrize(
    ("path", "raw", "status", "code"),
    [row[1:] for row in BODIES],
    ids=[row[0].replace(" ", "-") for row in BODIES],
)
async def test_a_bad_body_is_refused_by_name(
    front: httpx2.AsyncClient, path: str, raw: bytes, status: int, code: str
) -> None:
    refused = await front.post(path, content=raw, headers=JSON)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text[:500]
    assert refused.headers["content-type"] == "application/problem+json"
    assert "Traceback" not in refused.text
    if code == "invalid":
        told = refused.json()["errors"]
        assert all(each["pointer"].startswith("/body") for each in told)
        assert all(each.keys() == {"pointer", "code", "detail"} for each in told)


@pytest.mark.proves("H-05")
@pytest.mark.parametrize("is_counted", [True, False], ids=["counted", "uncounted"])
async def test_thirty_megabytes_are_refused_while_they_arrive(
    front: httpx2.AsyncClient, *, is_counted: bool
) -> None:
    taken = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(30):
            taken += 1
            yield b" " * 1_000_000

    length = {"Content-Length": "30000000"} if is_counted else {}
    refused = await front.post(START, content=chunks(), headers=JSON | length)
    assert (refused.status_code, refused.json()["code"]) == (413, "too-large")
    assert taken == 2, "more was taken than it needed to be too large"


HEADS: list[tuple[str, Mapping[str, str], int, str]] = [
    ("another media type", {"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
    ("a form", {"Content-Type": "multipart/form-data; boundary=x"}, 415, "unsupported-media-type"),
    ("no media type", {"Content-Type": ""}, 415, "unsupported-media-type"),
    ("another charset", {"Content-Type": "application/json; charset=latin-1"}, 415,
     "unsupported-media-type"),
    ("a compressed body", JSON | {"Content-Encoding": "gzip"}, 415, "unsupported-media-type"),
    ("200 headers", JSON | {f"X-{n}": "1" for n in range(200)}, 431, "head-too-large"),
    ("64 KiB of a header", JSON | {"X-Long": "a" * 65_536}, 431, "head-too-large"),
    ("an empty key", JSON | {"Idempotency-Key": ""}, 422, "invalid"),
    ("a long key", JSON | {"Idempotency-Key": "k" * 201}, 422, "invalid"),
]  # fmt: skip


@pytest.mark.proves("H-12", "H-13")
@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [row[1:] for row in HEADS],
    ids=[row[0].replace(" ", "-") for row in HEADS],
)
async def test_a_bad_head_is_refused_by_name(
    front: httpx2.AsyncClient, headers: Mapping[str, str], status: int, code: str
) -> None:
    refused = await front.post(CREATE, content=goal(), headers=dict(headers))
    assert (refused.status_code, refused.json()["code"]) == (status, code)


@pytest.mark.proves("H-14")
@pytest.mark.parametrize("name", ["Content-Length", "Content-Type", "Host", "Transfer-Encoding"])
async def test_what_two_servers_would_read_differently_is_not_said_twice(
    front: httpx2.AsyncClient, name: str
) -> None:
    refused = await front.post(CREATE, content=goal(), headers=[(name, "5"), (name, "6")])
    assert (refused.status_code, refused.json()["code"]) == (400, "bad-head")
    assert name.lower() in refused.json()["detail"]
    assert refused.headers["connection"] == "close"


QUESTIONS = [
    ("/api/v1/plans?limit=-1", 422, "invalid"),
    ("/api/v1/plans?limit=0", 422, "invalid"),
    ("/api/v1/plans?limit=1000000000", 422, "invalid"),
    ("/api/v1/plans?limit=1e3", 422, "invalid"),
    ("/api/v1/plans?min_position=-1", 422, "invalid"),
    (f"/api/v1/plans?min_position={2**63}", 422, "invalid"),
    ("/api/v1/plans?status=%00", 422, "invalid-unicode"),
    ("/api/v1/plans?cursor=forged", 422, "bad-cursor"),
    ("/api/v1/plans?cursor=MjAyNi0wMS0wMVQwMDowMDowMCBhAGI", 422, "bad-cursor"),
    ("/api/v1/plans/plan_%00", 422, "invalid-unicode"),
    ("/api/v1/plans/1e3", 422, "invalid"),
    ("/api/v1/executions/exec_%ff", 422, "invalid"),
    ("/api/v1/executions/exec_1/logs?level=loud", 422, "invalid"),
    ("/api/v1/executions/exec_1/logs?offset=-1", 422, "invalid"),
    ("/api/v1/agents?type=%00", 422, "invalid-unicode"),
    (f"/api/v1/events?after={'9' * 32}", 422, "invalid"),
    (f"/api/v1/events/{'9' * 32}", 422, "invalid"),
    ("/api/v1/events/0", 422, "invalid"),
    (f"/api/v1/dead-letters/{'9' * 32}", 422, "invalid"),
    ("/api/v1/dead-letters?since=9999-99-99", 422, "invalid"),
]


@pytest.mark.proves("H-09", "H-17")
@pytest.mark.parametrize(("path", "status", "code"), QUESTIONS, ids=[row[0] for row in QUESTIONS])
async def test_a_bad_question_is_refused_by_name(
    front: httpx2.AsyncClient, path: str, status: int, code: str
) -> None:
    refused = await front.get(path)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
    assert "Traceback" not in refused.text


@pytest.mark.proves("H-17")
async def test_no_page_is_endless_or_less_than_one_line(front: httpx2.AsyncClient) -> None:
    pages = [
        path
        for path, methods in app_alone().openapi()["paths"].items()
        if any(one["name"] == "limit" for one in methods.get("get", {}).get("parameters", ()))
    ]
    assert len(pages) >= 10
    for path in pages:
        for limit in (-1, 0, 1_001, 10**9):
            refused = await front.get(path, params={"limit": limit})
            told = [one["pointer"] for one in refused.json().get("errors", ())]
            assert (refused.status_code, refused.json()["code"]) == (422, "invalid"), path
            assert "/query/limit" in told, (path, limit)


@pytest.mark.proves("H-11")
@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE"])
@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("/api/v1/plans", "GET"),
        ("/api/v1/plans/plan_1", "DELETE, GET"),
        ("/api/v1/plans/plan_1/graph", "GET"),
        ("/api/v1/executions/exec_1/pause", "POST"),
        ("/livez", "GET"),
    ],
)
async def test_a_wrong_method_is_refused_and_the_right_ones_are_told(
    front: httpx2.AsyncClient, method: str, path: str, right: str
) -> None:
    refused = await front.request(method, path)
    assert (refused.status_code, refused.json()["code"]) == (405, "method-not-allowed")
    assert refused.headers["allow"] == right


@pytest.mark.proves("S-20b")
def test_what_is_wrong_with_any_body_is_told_in_few_words() -> None:
    """A body that is read in another way would list every error of a million."""
    for method, path, route in routes_of(app_alone()):
        if route.body_field is None:
            continue
        kind = route.body_field.field_info
        models = [
            one for one in get_args(kind.annotation) or [kind.annotation] if one is not NoneType
        ]
        is_short = any(getattr(one, "func", None) is in_few_words for one in kind.metadata)
        assert is_short or all(issubclass(one, Asked) for one in models), f"{method} {path}"
