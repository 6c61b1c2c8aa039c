"""One task is enqueued, told its place, and done; the lines tell how long they are."""

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from bus.depths import BrokerUnavailable
from bus.owed import Depth
from domain.agent import AgentRegistered, Capacity
from domain.identity import PERMISSIONS, Caller
from domain.leases import WorkKind
from domain.run_events import TaskCompleted, TaskStarted
from tests.api.conftest import System

# As DOC0 has it, 4.2; the action is ours.
REQUEST: dict[str, Any] = {
    "task_id": "task_015",
    "agent_type": "SIM",
    "action": "simulate",
    "priority": "high",
    "payload": {"mesh": "fine"},
}


class Broker:
    """Says what its queues hold, while it is there."""

    def __init__(self, **ready: int) -> None:
        self._ready = ready
        self.is_there = True

    async def work(self, kind: WorkKind) -> Depth:
        if not self.is_there:
            raise BrokerUnavailable(ConnectionError("gone"))
        return Depth(ready=self._ready.get(kind[2], 0), consumers=1)


async def enqueue(system: System, *, key: str = "", **changes: Any) -> dict[str, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    answer = await system.http.post(
        "/api/v1/queue/enqueue", json=REQUEST | changes, headers=headers
    )
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/v1/queue/{answer.json()['queue_id']}"
    return dict(answer.json())


async def agents(system: System, *, places: int) -> None:
    said = await system.say(
        AgentRegistered(
            agent_id="sim_1",
            agent_type="SIM",
            capacity=Capacity(max_concurrent_tasks=places),
            metadata={"actions": ["simulate"]},
            instance="1",
        )
    )
    await system.http.get("/api/v1/agents", params={"min_position": said.position})


async def start(system: System, item: dict[str, Any]) -> int:
    started = TaskStarted(
        run_id=item["execution_id"], task_id=item["task_id"], epoch=1, agent_id="sim_1"
    )
    return (await system.say(started)).position


async def complete(system: System, item: dict[str, Any]) -> int:
    done = TaskCompleted(
        run_id=item["execution_id"],
        task_id=item["task_id"],
        epoch=1,
        agent_id="sim_1",
        result={"ok": True},
    )
    return (await system.say(done)).position


async def show(system: System, item: dict[str, Any], position: int) -> dict[str, Any]:
    path = f"/api/v1/queue/{item['queue_id']}"
    return dict((await system.http.get(path, params={"min_position": position})).json())


async def lines(system: System, position: int, **query: Any) -> dict[str, Any]:
    params = {"min_position": position, **query}
    answer = await system.http.get("/api/v1/queue/status", params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_what_is_more_urgent_and_what_was_before_goes_first(system: System) -> None:
    places = [
        (await enqueue(system, task_id=f"t{number}", priority=priority))["position"]
        for number, priority in enumerate(("normal", "high", "high", "low", "critical", "normal"))
    ]
    assert places == [1, 1, 2, 4, 1, 5]


async def test_one_task_is_a_whole_execution(system: System) -> None:
    item = await enqueue(system)
    assert (item["task_id"], item["position"]) == ("task_015", 1)
    assert item["unserved"][0]["agent"] == "SIM"
    waiting = await show(system, item, 0)
    assert (waiting["status"], waiting["position"]) == ("dispatched", 1)
    begun = await show(system, item, await start(system, item))
    assert (begun["status"], begun["position"], begun["agent_id"]) == ("started", 0, "sim_1")
    over = await show(system, item, await complete(system, item))
    assert (over["status"], over["result"]) == ("completed", {"ok": True})
    run = (await system.http.get(f"/api/v1/executions/{item['execution_id']}")).json()
    assert (run["status"], run["plan_id"]) == ("completed", None)
    tasks = (await system.http.get(f"/api/v1/executions/{item['execution_id']}/tasks")).json()
    assert [task["task_id"] for task in tasks["tasks"]] == ["task_015"]


async def test_asked_twice_with_a_key_it_is_enqueued_once(system: System) -> None:
    first = await enqueue(system, key="k")
    head = await system.deps.head()
    assert (await enqueue(system, key="k"))["queue_id"] == first["queue_id"]
    assert await system.deps.head() == head
    assert (await enqueue(system))["queue_id"] != first["queue_id"]
    other = await system.http.post(
        "/api/v1/queue/enqueue",
        json=REQUEST | {"payload": {}},
        headers={"Idempotency-Key": "k"},
    )
    assert (other.status_code, other.json()["code"]) == (409, "idempotency-mismatch")


async def test_a_wait_is_told_only_where_it_is_known(system: System) -> None:
    nobody = await enqueue(system, task_id="t0")
    assert nobody["estimated_wait_seconds"] is None  # no agent
    await agents(system, places=2)
    free = await enqueue(system, task_id="t1")
    assert (free["position"], free["estimated_wait_seconds"], free["unserved"]) == (2, 0.0, [])
    behind = await enqueue(system, task_id="t2")
    assert (behind["position"], behind["estimated_wait_seconds"]) == (3, None)  # no experience
    await start(system, nobody)
    done = await complete(system, nobody)
    told = await lines(system, done)
    await start(system, free)
    later = await enqueue(system, task_id="t3")
    assert later["position"] == 2
    (sim,) = told["queues"]
    assert sim["avg_wait_time_seconds"] >= 0
    assert later["estimated_wait_seconds"] is not None
    assert later["estimated_wait"].endswith(("second", "seconds", "minutes"))


async def test_the_lines_are_told_by_the_record_and_the_broker(system: System) -> None:
    broker = Broker(high=1)
    object.__setattr__(system.deps, "depths", broker)
    await agents(system, places=4)
    first = await enqueue(system, task_id="t0")
    await enqueue(system, task_id="t1")
    await enqueue(system, task_id="t2", agent_type="CAD", priority="low")
    said = await start(system, first)
    told = await lines(system, said)
    assert told["degraded"] is None
    cad, sim = told["queues"]
    assert (cad["agent_type"], cad["pending_tasks"], cad["processing_tasks"]) == ("CAD", 1, 0)
    assert (cad["active_agents"], cad["estimated_wait"]) == (0, None)
    assert (sim["agent_type"], sim["role"]) == ("SIM", "execution")
    assert (sim["pending_tasks"], sim["processing_tasks"], sim["places"]) == (1, 1, 4)
    assert (sim["avg_wait_time"], sim["estimated_wait_seconds"]) == (None, 0.0)
    assert [
        (lane["priority"], lane["pending_tasks"], lane["in_queue"]) for lane in sim["lanes"]
    ] == [
        ("critical", 0, 0),
        ("high", 1, 1),
        ("normal", 0, 0),
        ("low", 0, 0),
    ]
    broker.is_there = False
    told = await lines(system, said, agent_type="SIM")
    (sim,) = told["queues"]
    assert (sim["pending_tasks"], sim["lanes"][1]["in_queue"]) == (1, None)
    assert "4 queues" in told["degraded"]


async def test_whoever_enqueues_nothing_sees_the_lines_only(system: System) -> None:
    async def identify(_: object) -> Caller:
        return Caller(subject="bob", role="user", permissions=PERMISSIONS["user"])

    item = await enqueue(system)
    identity = replace(system.deps.identity, identify=identify)
    object.__setattr__(system.deps, "identity", identity)
    shown = await system.http.get(f"/api/v1/queue/{item['queue_id']}")
    assert (shown.status_code, shown.json()["code"]) == (403, "not-allowed")
    told = await system.http.post("/api/v1/queue/enqueue", json=REQUEST)
    assert (told.status_code, told.json()["code"]) == (403, "not-allowed")
    assert (await system.http.get("/api/v1/queue/status")).status_code == 200


async def test_what_was_never_enqueued_is_not_found(system: System) -> None:
    answer = await system.http.get("/api/v1/queue/exec_nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-run")


@pytest.mark.parametrize(
    "wrong",
    [
        {"task_id": ""},
        {"agent_type": "sim"},
        {"priority": "urgent"},
        {"payload": "x"},
        {"action": "Not That"},
        {"retry": {"attempts": 7}},
        {"more": 1},
    ],
    ids=str,
)
async def test_what_is_wrong_goes_no_further(
    front: httpx2.AsyncClient, wrong: dict[str, Any]
) -> None:
    answer = await front.post("/api/v1/queue/enqueue", json=REQUEST | wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_what_no_message_could_carry_is_refused(system: System) -> None:
    answer = await system.http.post(
        "/api/v1/queue/enqueue", json=REQUEST | {"payload": {"x": "y" * 270_000}}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "too-heavy")
