"""Versions: an answer is tagged, a command can depend on it, and the past can be asked for."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from bus.ports import SystemClock
from domain.agent import AgentDeregistered, AgentRegistered
from domain.run_events import TaskCompleted, TaskStarted
from tests.api.conftest import System, app_alone
from tests.api.test_executions import a_plan, attempt, started


async def look(system: System, path: str, **headers: str) -> httpx2.Response:
    position = await system.deps.head()
    answer = await system.http.get(path, params={"min_position": position}, headers=headers)
    assert answer.status_code in (200, 304), answer.text
    return answer


async def then(system: System, path: str, as_of: int | datetime) -> Mapping[str, Any]:
    moment = as_of.isoformat() if isinstance(as_of, datetime) else as_of
    answer = await system.http.get(path, params={"as_of": moment})
    assert answer.status_code == 200, answer.text
    found: Mapping[str, Any] = answer.json()
    return found


async def work(system: System, run_id: str, task_id: str) -> tuple[int, int]:
    """Let an agent do a task, and return the positions of its start and its end."""
    body = attempt(run_id, task_id)
    begun = await system.say(TaskStarted(**body))
    return begun.position, (await system.say(TaskCompleted(**body))).position


async def test_who_has_an_answer_already_is_told_so(system: System) -> None:
    path = f"/api/v1/plans/{await a_plan(system)}"
    first = await look(system, path)
    tag = first.headers["etag"]
    assert tag.startswith(f'"{first.headers["taskloom-version"]}.')
    for known in (tag, f'"other", W/{tag}', "*"):
        again = await look(system, path, **{"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    assert (await look(system, path, **{"If-None-Match": '"1.0"'})).status_code == 200
    await system.http.delete(path)
    changed = await look(system, path, **{"If-None-Match": tag})
    assert (changed.status_code, changed.headers["etag"] != tag) == (200, True)


@pytest.mark.proves("H-16")
async def test_a_command_that_relies_on_an_old_version_is_refused_with_the_new(
    system: System,
) -> None:
    run_id, _ = await started(system, await a_plan(system))
    path = f"/api/v1/executions/{run_id}"
    seen = (await look(system, path)).headers["etag"]
    await work(system, run_id, "task_001")
    refused = await system.http.post(f"{path}/pause", headers={"If-Match": seen})
    assert (refused.status_code, refused.json()["code"]) == (412, "precondition-failed")
    now = await look(system, path)
    assert str(refused.json()["current_version"]) == now.headers["taskloom-version"]
    assert now.json()["status"] == "running"
    version = now.headers["taskloom-version"]
    for tag in (f'"{version}"', "*"):
        granted = await system.http.post(f"{path}/pause", headers={"If-Match": tag})
        assert granted.status_code == 200, granted.text


async def test_plans_and_agents_are_told_and_asked_by_version_too(system: System) -> None:
    plan = f"/api/v1/plans/{await a_plan(system)}"
    stale = await system.http.delete(plan, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["current_version"]) == (412, 2)
    assert (await system.http.delete(plan, headers={"If-Match": '"2"'})).status_code == 200
    await system.say(
        AgentRegistered(agent_id="cad-1", agent_type="CAD", role="execution", instance="1")
    )
    agent = "/api/v1/agents/cad-1"
    assert (await look(system, agent)).headers["taskloom-version"] == "1"
    assert (await system.http.delete(agent, headers={"If-Match": '"7"'})).status_code == 412
    assert (await system.http.delete(agent, headers={"If-Match": '"1"'})).status_code == 200


NO_TAGS = ("1", '"one"', '""', 'W/"1"', '"1", "2"', '"' + "9" * 40 + '"')


@pytest.mark.parametrize("tag", NO_TAGS)
async def test_a_tag_that_is_none_of_ours_is_refused(front: httpx2.AsyncClient, tag: str) -> None:
    refused = await front.delete("/api/v1/plans/plan_1", headers={"If-Match": tag})
    assert (refused.status_code, refused.json()["code"]) == (422, "bad-tag")


def test_the_description_says_what_a_tag_looks_like() -> None:
    asked = app_alone().openapi()["paths"]["/api/v1/plans/{plan_id}"]["delete"]["parameters"]
    (pattern,) = (each["schema"]["pattern"] for each in asked if each["name"] == "if-match")
    assert all(re.search(pattern, tag) for tag in ("*", '"1"', '"12.0a1b"'))
    assert not any(re.search(pattern, tag) for tag in NO_TAGS)


async def test_an_execution_is_shown_as_it_was(system: System) -> None:
    run_id, begun = await started(system, await a_plan(system))
    path = f"/api/v1/executions/{run_id}"
    before = (await look(system, path)).json()
    first, last = await work(system, run_id, "task_001")
    at_work, done = await then(system, path, first), await then(system, path, last)
    assert [task["task_id"] for task in at_work["progress"]["current_tasks"]] == ["task_001"]
    assert (at_work["progress"]["completed_tasks"], done["progress"]["completed_tasks"]) == (0, 1)
    at_first = await then(system, path, first - 1)
    assert at_first["progress"] == before["progress"]
    assert set(at_first) == set(before)
    answer = await system.http.get(path, params={"as_of": first})
    assert answer.headers["taskloom-position"] == str(first)
    now = (await look(system, path)).json()
    assert (await then(system, path, SystemClock().now()))["progress"] == now["progress"]
    assert begun


async def test_a_plan_is_shown_as_it_was_with_where_its_tasks_stood(system: System) -> None:
    plan_id = await a_plan(system)
    path = f"/api/v1/plans/{plan_id}"
    ready = (await look(system, path)).json()
    position = await system.deps.head()
    run_id, _ = await started(system, plan_id)
    _, done = await work(system, run_id, "task_001")
    await system.http.delete(path)
    assert (await look(system, path)).json()["status"] == "cancelled"
    assert await then(system, path, position) == ready | {"unserved": []}
    running = await then(system, path, done)
    assert running["status"] == "running"
    stands = {node["task_id"]: node["status"] for node in running["task_graph"]["nodes"]}
    assert (stands["task_001"], stands["task_002"]) == ("completed", "dispatched")
    born = await then(system, path, position - 1)
    assert (born["status"], born["task_graph"]["nodes"]) == ("planning", [])
    unborn = await system.http.get(path, params={"as_of": position - 2})
    assert (unborn.status_code, unborn.json()["code"]) == (404, "unknown-plan")


async def test_an_agent_is_shown_as_it_was_with_what_it_had_done(system: System) -> None:
    run_id, _ = await started(system, await a_plan(system))
    agent_id = attempt(run_id, "task_001")["agent_id"]
    await system.say(
        AgentRegistered(agent_id=agent_id, agent_type="META", role="execution", instance="1")
    )
    first, last = await work(system, run_id, "task_001")
    await system.say(AgentDeregistered(agent_id=agent_id, reason="holidays"))
    path = f"/api/v1/agents/{agent_id}"
    assert (await look(system, path)).json()["status"] == "inactive"
    busy, done = await then(system, path, first), await then(system, path, last)
    assert (busy["status"], busy["capacity"]["current_tasks"]) == ("active", 1)
    assert (busy["statistics"]["tasks_completed"], done["statistics"]["tasks_completed"]) == (0, 1)


async def test_a_moment_that_has_not_come_cannot_be_looked_at(system: System) -> None:
    path = f"/api/v1/plans/{await a_plan(system)}"
    tomorrow = (SystemClock().now() + timedelta(days=1)).isoformat()
    for moment in (str(10**15), tomorrow):
        refused = await system.http.get(path, params={"as_of": moment})
        assert (refused.status_code, refused.json()["code"]) == (422, "in-the-future")
    for riddle in ("yesterday", "-1", "2026-13-01T00:00:00Z", "2026-01-01", "1e3"):
        refused = await system.http.get(path, params={"as_of": riddle})
        assert (refused.status_code, refused.json()["code"]) in (
            (422, "invalid"),
            (422, "bad-moment"),
        )
