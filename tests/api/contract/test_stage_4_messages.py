"""Stage 4: agents and other systems say things, and hear what they have subscribed to."""

from typing import Any

import pytest

from domain.run_events import TaskStarted
from tests.api.conftest import System
from tests.api.contract.shapes import MOMENT, counted, fits, named, one_of
from tests.api.living import a_run
from tests.api.test_executions import attempt
from tests.api.test_messages import asked_by, publish, subscribe

AGENT = "cad_agent_001"
WISH: dict[str, Any] = {
    "agent_id": AGENT,
    "topics": ["task.completed", "plan.updated"],
    "filters": {"agent_type": "SIM"},
}


@pytest.mark.proves("D0-API-19", "D0-API-19a", "D0-API-19b")
async def test_an_agent_publishes_what_it_has_done(system: System) -> None:
    run_id = await a_run(system)
    said = await system.say(TaskStarted(**attempt(run_id, "t0")))
    await system.http.get(
        f"/api/v1/executions/{run_id}/tasks", params={"min_position": said.position}
    )
    agent = asked_by(system, AGENT, "agent")
    await subscribe(agent, **WISH)
    told = await publish(
        agent,
        topic="task.completed",
        payload={"task_id": "t0", "agent_id": AGENT, "result": {"ok": True}},
        priority="normal",
    )
    fits(
        told,
        {
            "message_id": str,
            "topic": one_of("task.completed"),
            "published_at": MOMENT,
            "subscribers_notified": counted,
        },
    )
    assert told["subscribers_notified"] == 1
    known: dict[str, Any] = {"topic": "deploy.finished", "payload": {}, "priority": "normal"}
    for wrong in ({"topic": "Deploy Finished"}, {"payload": "done"}, {"priority": "urgent"}):
        refused = await publish(agent, expect=422, **(known | wrong))
        assert refused["code"] == "invalid", wrong


@pytest.mark.proves("D0-API-20", "D0-API-20a", "D0-API-20b", "D0-API-21", "D0-API-21a")
async def test_an_agent_subscribes_to_topics_and_unsubscribes(system: System) -> None:
    agent = asked_by(system, AGENT, "agent")
    made = await subscribe(agent, **WISH)
    fits(
        made,
        {
            "subscription_id": named("sub"),
            "agent_id": one_of(AGENT),
            "topics": [str],
            "created_at": MOMENT,
        },
    )
    assert made["topics"] == WISH["topics"]
    for wrong in ({"agent_id": None}, {"topics": "task.completed"}, {"filters": ["CAD"]}):
        refused = await subscribe(agent, expect=422, **(WISH | wrong))
        assert refused["code"] == "invalid", wrong
    over = await agent.delete(f"/subscribe/{made['subscription_id']}")
    assert over.status_code == 200, over.text
    fits(over.json(), {"subscription_id": named("sub"), "status": one_of("unsubscribed")})
    again = await agent.delete(f"/subscribe/{made['subscription_id']}")
    assert (again.status_code, again.json()["code"]) == (404, "unknown-subscription")
