"""What is somebody else's is not there: every route, every id in its path, every role."""

import re
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from api import app as making
from api import breakers
from api.access import OPEN, Undeclared, permissions_of, routes_of, undeclared
from tests.api.conftest import System, app_alone
from tests.api.people import add_user, bearer, log_in
from tests.api.test_plans import GOAL, GRAPH

NAMES = re.compile(r"{(plan_id|execution_id)[}:]")
ROUTES = sorted((method, path) for method, path, _ in routes_of(app_alone()) if NAMES.search(path))


@pytest.mark.proves("S-4b")
def test_every_route_says_who_may_use_it() -> None:
    for _, path, route in routes_of(app_alone()):
        assert len(permissions_of(route)) == (0 if path in OPEN else 1), path


@pytest.mark.proves("S-4b")
def test_without_saying_so_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()
    app.include_router(breakers.router)
    assert list(undeclared(app)) == []
    app.get("/left-open")(lambda: None)
    assert list(undeclared(app)) == ["GET /left-open"]
    monkeypatch.setattr(making, "undeclared", lambda _: undeclared(app))
    with pytest.raises(Undeclared, match="GET /left-open"):
        making.described("a version with such a route")


@pytest.mark.proves("S-4a")
def test_what_a_path_names_is_checked_wherever_it_can_be_somebodys() -> None:
    for _, path, route in routes_of(app_alone()):
        if NAMES.search(path):
            assert permissions_of(route) <= {"plan:read", "plan:steer"}, path


@pytest.fixture
async def victim(system: System) -> dict[str, str]:
    """A plan of Ada's that runs, and what others would like to know of it."""
    await add_user(system)
    ada = bearer((await log_in(system))["access_token"])
    body = {"goal": GOAL | {"title": "canary-of-ada"}, "task_graph": GRAPH}
    created = await system.http.post("/api/v1/plans/create", json=body, headers=ada)
    plan_id = created.json()["plan_id"]
    started = await system.http.post(
        "/api/v1/executions/start", json={"plan_id": plan_id}, headers=ada
    )
    assert started.status_code == 201, started.text
    return {"plan_id": plan_id, "execution_id": started.json()["execution_id"]}


def filled(path: str, ids: dict[str, str]) -> str:
    known = ids | {"task_id": GRAPH["tasks"][0]["id"], "agent_type": "CAD"}
    return re.sub(r"{(\w+)(:\w+)?}", lambda name: known.get(name[1], "1"), path)


async def ask(
    system: System, method: str, path: str, headers: dict[str, str]
) -> tuple[int, dict[str, Any]]:
    body: dict[str, Any] | None = {} if method in ("POST", "PATCH", "PUT") else None
    if path.endswith("/rollback"):
        body = {"checkpoint_id": "checkpoint-1"}
    if path.endswith("/amend"):
        body = {"task_graph": GRAPH}
    if "/diff" in path:
        path += "?before=1&after=1"
    answer: httpx2.Response = await system.http.request(method, path, json=body, headers=headers)
    assert "canary-of-ada" not in answer.text
    return answer.status_code, dict(answer.json())


@pytest.mark.proves("S-4a", "S-24a")
async def test_what_is_somebody_elses_is_as_if_it_were_not_there(
    system: System, victim: dict[str, str]
) -> None:
    await add_user(system, "eve")
    eve = bearer((await log_in(system, "eve"))["access_token"])
    agent = await system.http.post(
        "/api/v1/agents/register", json={"agent_id": "spy", "agent_type": "CAD"}
    )
    roles = {"user": eve, "agent": bearer(agent.json()["token"])}
    nowhere = {name: f"{value}-x" for name, value in victim.items()}
    assert len(ROUTES) > 25
    for role, headers in roles.items():
        for method, path in ROUTES:
            status, told = await ask(system, method, filled(path, victim), headers)
            refused = (status, told["code"])
            if role == "agent":
                assert refused == (403, "not-allowed"), (role, method, path)
            else:
                assert refused in ((404, "unknown-plan"), (404, "unknown-run")), (method, path)
            absent, as_told = await ask(system, method, filled(path, nowhere), headers)
            assert (absent, as_told["code"]) == (status, told["code"]), (role, method, path)
            for name, value in victim.items():
                assert (
                    told["detail"].replace(value, "")
                    == as_told["detail"].replace(nowhere[name], "")
                    or value not in told["detail"]
                )
    # Nothing has happened to it.
    shown = await system.http.get(f"/api/v1/executions/{victim['execution_id']}")
    assert shown.json()["status"] == "running"


@pytest.mark.proves("S-4c")
async def test_lists_show_what_is_ones_own(system: System, victim: dict[str, str]) -> None:
    await add_user(system, "eve")
    eve = bearer((await log_in(system, "eve"))["access_token"])
    for path, name in (("/api/v1/plans", "plans"), ("/api/v1/executions", "executions")):
        mine = (await system.http.get(path, headers=eve)).json()
        assert mine[name] == []
        every = (await system.http.get(path)).json()
        assert len(every[name]) == 1
    ada = bearer((await log_in(system))["access_token"])
    assert len((await system.http.get("/api/v1/plans", headers=ada)).json()["plans"]) == 1


@pytest.mark.proves("S-4c")
async def test_nobody_starts_what_is_somebody_elses(system: System, victim: dict[str, str]) -> None:
    await add_user(system, "eve")
    eve = bearer((await log_in(system, "eve"))["access_token"])
    body = {"plan_id": victim["plan_id"]}
    answer = await system.http.post("/api/v1/executions/start", json=body, headers=eve)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-plan")


@pytest.mark.proves("S-23")
async def test_an_idempotency_key_of_somebody_else_is_ones_own(system: System) -> None:
    key = {"Idempotency-Key": "the-same"}
    plans = []
    for login in ("ada", "eve"):
        await add_user(system, login)
        headers = bearer((await log_in(system, login))["access_token"]) | key
        body = {"goal": GOAL | {"title": login}, "task_graph": GRAPH}
        created = await system.http.post("/api/v1/plans/create", json=body, headers=headers)
        plans.append(created.json()["plan_id"])
    assert plans[0] != plans[1]
