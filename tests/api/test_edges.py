"""What the API refuses, and how it tells of itself."""

from contextlib import AsyncExitStack
from dataclasses import replace

import httpx2
import pytest

from api import reading
from api.app import create_app
from bus.envelope import decode_recorded
from domain.deciders import EVENTS
from tests.api.conftest import System
from tests.api.test_plans import GOAL, GRAPH

CREATE = "/api/v1/plans/create"


async def test_a_validation_error_points_to_the_field(front: httpx2.AsyncClient) -> None:
    refused = await front.post(CREATE, json={"goal": GOAL | {"priority": "urgent"}})
    assert refused.json()["errors"][0]["pointer"] == "/body/goal/priority"


async def test_an_unknown_path_and_method_are_problems_too(front: httpx2.AsyncClient) -> None:
    missing = await front.get("/api/v1/nothing")
    assert (missing.status_code, missing.json()["code"]) == (404, "not-found")
    wrong = await front.put("/api/v1/plans")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method-not-allowed")
    assert wrong.headers["allow"] == "GET"


async def test_a_position_in_the_future_is_not_waited_for(system: System) -> None:
    ahead = await system.http.get("/api/v1/plans", params={"min_position": 10**9})
    assert (ahead.status_code, ahead.json()["code"]) == (422, "in-the-future")


async def test_a_position_that_views_do_not_reach_is_not_waited_for_for_ever(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PATIENCE", 0.1)

    async def head() -> int:
        return 10**9

    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(create_app(replace(system.deps, head=head))),
        base_url="http://taskloom",
        headers=system.http.headers,
    ) as http:
        late = await http.get("/api/v1/plans", params={"min_position": 10**9})
    assert (late.status_code, late.json()["code"]) == (503, "not-yet-there")
    assert late.headers["retry-after"] == "1"


async def test_events_are_fed_as_cloudevents(system: System) -> None:
    await system.http.post(CREATE, json={"goal": GOAL, "task_graph": GRAPH})
    feed = await system.http.get("/api/v1/events", params={"limit": 1})
    assert feed.headers["content-type"] == "application/cloudevents-batch+json"
    [first] = feed.json()
    assert first["type"] == "plan.created"
    following = feed.headers["link"].partition(">")[0].removeprefix("<")
    [second] = (await system.http.get(following)).json()
    assert second["type"] == "plan.ready"
    one = await system.http.get(f"/api/v1/events/{second['position']}")
    assert one.headers["content-type"] == "application/cloudevents+json"
    assert decode_recorded(one.content, EVENTS).type == "plan.ready"
    missing = await system.http.get("/api/v1/events/1000000")
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown-event")


async def test_the_status_tells_of_components_and_views(system: System) -> None:
    status = (await system.http.get("/api/v1/status")).json()
    assert status["version"] == "9.9.9"
    assert status["components"]["database"] == "healthy"
    assert (status["active_agents"], status["active_executions"]) == (0, 0)
    assert {view["view"] for view in status["views"]} >= {"plans", "attempts"}
    assert (await system.http.get("/livez")).json() == {"status": "alive"}
    assert (await system.http.get("/readyz")).status_code == 200


async def test_before_the_views_are_made_nobody_is_blamed(system: System) -> None:
    async with system.pool.connection() as connection:
        await connection.execute("drop table views.agents_1")
    missing = await system.http.get("/api/v1/agents")
    assert (missing.status_code, missing.json()["code"]) == (503, "views-missing")
    assert missing.headers["retry-after"] == "1"


async def test_a_view_that_stopped_is_reported(system: System) -> None:
    created = await system.http.post(CREATE, json={"goal": GOAL, "task_graph": GRAPH})
    assert created.status_code == 201  # so that the views are followed by now
    async with system.pool.connection() as connection:
        await connection.execute(
            "insert into views.failures values ('view.tasks.2', 7, 'task.failed', 'why', now())"
        )
    status = (await system.http.get("/api/v1/status")).json()
    assert status["status"] == "degraded"
    [stopped] = [view for view in status["views"] if view["error"]]
    assert (stopped["view"], stopped["failed_at"], stopped["error"]) == ("tasks", 7, "why")
    unready = await system.http.get("/readyz")
    assert (unready.status_code, unready.json()["ready"]) == (503, False)


async def test_without_a_database_it_says_so_at_once(system: System) -> None:
    assert (await system.http.get("/api/v1/status")).status_code == 200  # so that we are known
    await system.pool.close()
    status = await system.http.get("/api/v1/status")
    assert (status.status_code, status.json()["status"]) == (200, "unhealthy")
    assert (await system.http.get("/livez")).status_code == 200
    assert (await system.http.get("/readyz")).status_code == 503
    silent = await system.http.get("/api/v1/plans")
    assert (silent.status_code, silent.json()["code"]) == (503, "database-unavailable")


async def test_a_request_that_gets_no_connection_is_answered_at_once(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CONNECT", 0.1)
    async with AsyncExitStack() as stack:
        for _ in range(system.pool.max_size):
            await stack.enter_async_context(system.pool.connection())
        silent = await system.http.get("/api/v1/plans")
    assert (silent.status_code, silent.json()["code"]) == (503, "database-unavailable")
    assert (await system.http.get("/api/v1/plans")).status_code == 200
