"""Lists are gone through page by page, in any order, and a cursor is good for nothing else."""

import base64
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from api.app import create_app
from tests.api.conftest import System
from tests.api.test_every_answer import client, trusting
from tests.api.test_executions import a_plan, shown, started
from tests.api.test_plans import GOAL, GRAPH

PLANS = "/api/v1/plans"
TITLES = ["Ebru", "Alpha", "delta", "Beta", "Ceta"]


async def plans(system: System) -> None:
    for title in TITLES:
        asked = {"goal": GOAL | {"title": title}, "task_graph": GRAPH}
        made = await system.http.post(f"{PLANS}/create", json=asked)
        assert made.status_code == 201


async def walk(
    http: httpx2.AsyncClient, path: str, what: str, name: str, **asked: Any
) -> list[str]:
    """Follow the links from page to page, and return what was on all of them."""
    answer = await http.get(path, params=asked)
    found: list[str] = []
    while True:
        assert answer.status_code == 200, answer.text
        found += [each[name] for each in answer.json()[what]]
        if "next" not in answer.links:
            assert answer.json().get("next_cursor") is None
            return found
        answer = await http.get(answer.links["next"]["url"])


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("title", sorted(TITLES)),
        ("-title", sorted(TITLES, reverse=True)),
        ("created_at", TITLES),
        ("-created_at", TITLES[::-1]),
        ("-updated_at", TITLES[::-1]),
    ],
)
async def test_plans_are_gone_through_in_any_order(
    system: System, sort: str, order: list[str]
) -> None:
    await plans(system)
    assert await walk(system.http, PLANS, "plans", "title", sort=sort, limit=2) == order


@pytest.mark.proves("S-10b")
async def test_plans_are_looked_for_by_what_they_are(system: System) -> None:
    await plans(system)
    await system.http.post(
        f"{PLANS}/create", json={"goal": GOAL | {"title": "100%", "domain": "x"}}
    )
    for asked, found in (
        ({"q": "ETA"}, ["Ceta", "Beta"]),
        ({"q": "0%"}, ["100%"]),
        ({"q": "%"}, ["100%"]),
        ({"q": "_"}, []),
        ({"q": "' or 1=1 --"}, []),
        ({"domain": "x"}, ["100%"]),
        ({"status": ["planning"]}, ["100%"]),
        ({"status": ["planning", "ready"], "q": "a"}, ["Ceta", "Beta", "delta", "Alpha"]),
        ({"priority": "low"}, []),
    ):
        assert await walk(system.http, PLANS, "plans", "title", limit=1, **asked) == found, asked


async def test_executions_are_gone_through_in_any_order(system: System) -> None:
    runs = [(await started(system, await a_plan(system)))[0] for _ in range(3)]
    paused = await system.http.post(f"/api/v1/executions/{runs[0]}/pause")
    await shown(system, runs[0], int(paused.headers["Taskloom-Position"]))
    for sort, order in (
        ("-started_at", runs[::-1]),
        ("started_at", runs),
        ("-updated_at", [runs[0], runs[2], runs[1]]),
    ):
        found = await walk(
            system.http, "/api/v1/executions", "executions", "execution_id", sort=sort, limit=2,
            status=["running", "paused"],
        )  # fmt: skip
        assert found == order


async def test_the_lines_of_a_log_have_a_link_too(system: System) -> None:
    run_id, position = await started(system, await a_plan(system))
    await shown(system, run_id, position)
    path = f"/api/v1/executions/{run_id}/logs"
    all_lines = (await system.http.get(path)).json()
    assert await walk(system.http, path, "logs", "message", limit=1) == [
        line["message"] for line in all_lines["logs"]
    ]


@pytest.mark.proves("H-17")
async def test_a_cursor_is_good_for_one_list_of_one_caller(system: System) -> None:
    await plans(system)
    app = create_app(replace(system.deps, identity=trusting(system.deps.identity)))
    ann, bob = {"X-Who": "admin/ann"}, {"X-Who": "admin/bob"}

    async with client(app) as http:

        async def go_on(who: dict[str, str], path: str = PLANS, **asked: Any) -> str:
            answer = await http.get(path, params=asked, headers=who)
            return "good" if answer.status_code == 200 else str(answer.json()["code"])

        first = await http.get(PLANS, params={"limit": 2, "status": "ready"}, headers=ann)
        cursor = first.json()["next_cursor"]
        assert await go_on(ann, status="ready", cursor=cursor) == "good"
        assert await go_on(ann, status="ready", cursor=cursor, limit=5) == "good"
        assert await go_on(bob, status="ready", cursor=cursor) == "bad-cursor"
        assert await go_on(ann, cursor=cursor) == "bad-cursor"
        assert await go_on(ann, status="ready", sort="title", cursor=cursor) == "bad-cursor"
        of_all = (await http.get(PLANS, params={"limit": 2}, headers=ann)).json()["next_cursor"]
        assert await go_on(ann, cursor=of_all) == "good"
        assert await go_on(ann, "/api/v1/executions", cursor=of_all) == "bad-cursor"


@pytest.mark.proves("H-17")
@pytest.mark.parametrize("spoil", ["first", "last", "cut", "doubled"])
async def test_a_spoilt_cursor_is_refused(system: System, spoil: str) -> None:
    await plans(system)
    cursor = (await system.http.get(PLANS, params={"limit": 1})).json()["next_cursor"]
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    match spoil:
        case "first":
            raw[0] ^= 1
        case "last":
            raw[-3] ^= 1
        case "cut":
            del raw[-1]
        case _:
            raw.extend(bytes(raw))
    forged = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    refused = await system.http.get(PLANS, params={"limit": 1, "cursor": forged})
    assert (refused.status_code, refused.json()["code"]) == (422, "bad-cursor")
