"""One agent is asked over HTTP, answers over a broker, and its answer is the answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
import pytest

from agents.agent import Agent, CannotBeDone, Work
from agents.kit.loading import load
from bus.asking import Asker
from bus.connect import connect
from bus.embedded import EmbeddedBroker
from bus.heartbeats import listen
from bus.publishing import Publisher
from bus.signals import Heartbeat
from bus.topology import declare, topology
from domain.agent import AgentDeregistered, AgentRegistered
from domain.values import JsonObject
from tests.agents.kit.running import Running
from tests.api.conftest import System
from tests.support.waiting import until

AGENT_ID = "cad_agent_001"


@asynccontextmanager
async def asking(system: System, agent: Agent, *, concurrency: int = 4) -> AsyncIterator[None]:
    """Let an agent run on a broker, and the API ask it."""
    heard: list[Heartbeat] = []
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(EmbeddedBroker())
        connection = await stack.enter_async_context(await connect(broker.url, name="api"))
        publisher = await stack.enter_async_context(Publisher(connection))
        async with connection.channel() as channel:
            await declare(channel, topology(planning=(agent.type,), execution=(agent.type,)))
        asker = Asker(connection, publisher)
        await asker.listen()
        await listen(connection, heard.append)
        object.__setattr__(system.deps, "asks", asker)
        running = Running(agent, broker.url, agent_id=AGENT_ID, concurrency=concurrency)
        await stack.enter_async_context(running)
        await until(lambda: bool(heard), "it listens")
        yield


async def register(system: System, agent: Agent, **metadata: Any) -> None:
    said = await system.say(
        AgentRegistered(
            agent_id=AGENT_ID,
            agent_type=agent.type,
            role=agent.role,
            metadata=metadata,
            instance="1",
        )
    )
    await system.http.get("/api/v1/agents", params={"min_position": said.position})


async def invoke(system: System, action: str, **asked: Any) -> httpx2.Response:
    return await system.http.post(
        f"/api/v1/agents/{AGENT_ID}/invoke", json={"action": action, **asked}
    )


async def test_a_planner_answers_a_plan_as_doc0_has_it(system: System) -> None:
    planner = load("agents.planners.cad")
    await register(system, planner, actions=sorted(planner.actions))
    payload = {"goal": "Design brake caliper", "constraints": {"timeline": "30 days"}}
    before = await system.deps.head()
    async with asking(system, planner):
        answer = await invoke(system, "plan", payload=payload)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["agent_id"], told["action"]) == (AGENT_ID, "plan")
    assert (told["status"], told["error"]) == ("completed", None)
    assert told["execution_time"].endswith("seconds")
    assert told["execution_time_seconds"] >= 0
    plan = told["result"]["plan"]
    assert plan["domain"] == "CAD"
    assert any("caliper" in task["name"] for task in plan["tasks"])
    hours = told["result"]["estimated_duration_seconds"] / 3600
    assert 24 <= hours <= 24 * len(plan["tasks"])
    assert told["result"]["estimated_duration"]
    assert await system.deps.head() == before  # nothing of it is recorded


async def test_a_failure_of_the_agent_is_its_answer(system: System) -> None:
    async def fail(_: Work) -> JsonObject:
        raise CannotBeDone("no bore")

    async def echo(work: Work) -> JsonObject:
        return work.params

    agent = Agent(type="CAD", actions={"fail": fail, "echo": echo})
    await register(system, agent)
    async with asking(system, agent):
        told = (await invoke(system, "fail")).json()
        assert (told["status"], told["result"]) == ("failed", None)
        assert told["error"] == {"error_class": "validation", "reason": "no bore"}
        assert (await invoke(system, "echo", payload={"n": [1]})).json()["result"] == {"n": [1]}
        # It has not said what it can do: so it is asked, and says that it cannot.
        unknown = await invoke(system, "dance")
        assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown-action")


async def once_free(system: System, action: str, **body: Any) -> httpx2.Response:
    """Ask as soon as the agent has let go of what came before."""
    while (answer := await invoke(system, action, **body)).status_code == 503:  # noqa: ASYNC110 # nobody tells
        await asyncio.sleep(0.01)
    return answer


async def test_who_cannot_answer_now_is_told_apart(system: System) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def wait(_: Work) -> JsonObject:
        begun.set()
        await go.wait()
        return {}

    agent = Agent(type="CAD", actions={"wait": wait})
    await register(system, agent, actions=["wait"])
    async with asking(system, agent, concurrency=1):
        late = await invoke(system, "wait", timeout=0.2)
        assert (late.status_code, late.json()["code"]) == (504, "agent-timeout")

        begun.clear()
        waiting = asyncio.create_task(once_free(system, "wait", timeout=60))
        await begun.wait()
        busy = await invoke(system, "wait")
        assert busy.status_code == 503
        assert (busy.json()["code"], busy.headers["retry-after"]) == ("agent-busy", "1")
        go.set()
        assert (await waiting).json()["status"] == "completed"


async def test_only_an_agent_that_is_there_is_asked(system: System) -> None:
    nobody = await invoke(system, "act")
    assert (nobody.status_code, nobody.json()["code"]) == (404, "unknown-agent")
    agent = Agent(type="CAD", actions={})
    await register(system, agent, actions=["act"])
    dance = await invoke(system, "dance")
    assert (dance.status_code, dance.json()["code"]) == (422, "unknown-action")
    assert "act" in dance.json()["detail"]
    alone = await invoke(system, "act")
    assert (alone.status_code, alone.json()["code"]) == (503, "broker-unavailable")
    said = await system.say(AgentDeregistered(agent_id=AGENT_ID, reason="old"))
    await system.http.get("/api/v1/agents", params={"min_position": said.position})
    gone = await invoke(system, "act")
    assert (gone.status_code, gone.json()["code"]) == (409, "agent-not-there")
    assert "old" in gone.json()["detail"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "No Such"},
        {"timeout": 0},
        {"timeout": 121},
        {"timeout": "soon"},
        {"payload": []},
        {"payload": {"x": "y" * 270_000}},
        {"more": 1},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
async def test_what_is_wrong_goes_no_further(
    front: httpx2.AsyncClient, wrong: dict[str, Any]
) -> None:
    answer = await front.post(f"/api/v1/agents/{AGENT_ID}/invoke", json={"action": "act"} | wrong)
    assert answer.status_code == 422
    assert answer.json()["code"] in ("invalid", "too-heavy")
