"""Stage 4: one task is enqueued, and the lines tell how long they are."""

import pytest

from tests.api.conftest import System
from tests.api.contract.shapes import DURATION, counted, fits, maybe, one_of
from tests.api.test_queue import REQUEST, agents, complete, enqueue, lines, start


@pytest.mark.proves("D0-API-22", "D0-API-22a", "D0-API-22b")
async def test_a_task_is_enqueued_and_told_its_place(system: System) -> None:
    await agents(system, places=2)
    item = await enqueue(system)
    fits(
        item,
        {"queue_id": str, "task_id": str, "position": counted, "estimated_wait": DURATION},
    )
    assert (item["task_id"], item["position"]) == ("task_015", 1)
    for wrong in (
        {"task_id": "a b"},
        {"agent_type": 7},
        {"priority": "urgent"},
        {"payload": "mesh"},
    ):
        refused = await system.http.post("/api/v1/queue/enqueue", json=REQUEST | wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid"), wrong


@pytest.mark.proves("D0-API-23", "D0-API-23a")
async def test_the_lines_are_told_for_each_type_of_agents(system: System) -> None:
    await agents(system, places=2)
    done = await enqueue(system, task_id="t0")
    await start(system, done)
    await complete(system, done)
    begun = await enqueue(system, task_id="t1")
    await start(system, begun)
    waiting = await enqueue(system, task_id="t2")
    position = await start(system, await enqueue(system, task_id="t3", agent_type="CAD"))
    told = await lines(system, position)
    fits(
        told,
        {
            "queues": [
                {
                    "agent_type": one_of("CAD", "SIM"),
                    "pending_tasks": counted,
                    "processing_tasks": counted,
                    "avg_wait_time": maybe(DURATION),
                }
            ]
        },
    )
    cad, sim = told["queues"]
    assert (cad["pending_tasks"], cad["processing_tasks"]) == (0, 1)
    assert (sim["pending_tasks"], sim["processing_tasks"]) == (1, 1)
    assert waiting["position"] == 1
    assert sim["avg_wait_time"] is not None
