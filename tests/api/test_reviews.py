"""A proposed plan is reviewed over HTTP."""

from tests.api.conftest import System
from tests.api.test_plans import GOAL, GRAPH


async def proposed(system: System) -> str:
    asked = {"goal": GOAL, "task_graph": GRAPH, "options": {"auto_execute": True, "review": True}}
    created = await system.http.post("/api/v1/plans/create", json=asked)
    assert created.json()["status"] == "proposed", created.text
    return str(created.json()["plan_id"])


async def test_a_plan_is_amended_and_approved(system: System) -> None:
    plan_id = await proposed(system)
    graph = {"tasks": [*GRAPH["tasks"], {"id": "task_004", "name": "Check it", "agent": "SIM"}]}
    said = {"revision": 1, "author": "ada", "reason": "it has to be checked", "task_graph": graph}
    amended = await system.http.post(f"/api/v1/plans/{plan_id}/amend", json=said)
    assert amended.json() == {"plan_id": plan_id, "status": "proposed", "revision": 2}
    late = await system.http.post(f"/api/v1/plans/{plan_id}/approve", json={"revision": 1})
    assert (late.status_code, "look at that one" in late.json()["detail"]) == (409, True)
    approved = await system.http.post(f"/api/v1/plans/{plan_id}/approve", json={"revision": 2})
    assert approved.json()["status"] in ("ready", "running")
    shown = (await system.http.get(f"/api/v1/plans/{plan_id}")).json()
    assert len(shown["task_graph"]["nodes"]) == 4


async def test_a_rejected_plan_is_not_executed(system: System) -> None:
    plan_id = await proposed(system)
    assert (await system.http.post(f"/api/v1/plans/{plan_id}/reject")).json()[
        "status"
    ] == "rejected"
    started = await system.http.post("/api/v1/executions/start", json={"plan_id": plan_id})
    assert started.status_code == 409
