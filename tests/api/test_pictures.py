"""Pictures of plans over HTTP."""

from xml.etree import ElementTree

from tests.api.conftest import System
from tests.api.test_plans import GOAL, GRAPH


async def test_a_plan_is_drawn_before_and_while_it_runs(system: System) -> None:
    asked = {"goal": GOAL, "task_graph": GRAPH, "options": {"auto_execute": True}}
    plan_id = (await system.http.post("/api/v1/plans/create", json=asked)).json()["plan_id"]
    shown = (await system.http.get(f"/api/v1/plans/{plan_id}/graph")).json()
    drawn = await system.http.get(shown["visualization_url"])
    assert drawn.status_code == 200
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    assert "sandbox" in drawn.headers["content-security-policy"]
    assert drawn.headers["x-content-type-options"] == "nosniff"
    assert "Initial design" in drawn.text
    ElementTree.fromstring(drawn.content)
    gantt = await system.http.get(f"/api/v1/visualizations/{plan_id}/gantt.svg")
    assert "Planned, 10 h" in gantt.text
    ElementTree.fromstring(gantt.content)


async def test_no_picture_of_a_plan_that_is_not_there(system: System) -> None:
    for path in ("plan_nobody.svg", "plan_nobody/gantt.svg"):
        answer = await system.http.get(f"/api/v1/visualizations/{path}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
