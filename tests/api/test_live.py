"""Whoever follows live updates is told everything once, in order, however often they are cut."""

import asyncio
import random
from collections.abc import Mapping
from contextlib import aclosing
from socket import SO_RCVBUF, SOL_SOCKET
from socket import socket as Socket  # noqa: N812 # as a type, beside those that are read
from typing import Any

import httpx2
import orjson
import pytest
from websockets.asyncio.client import connect

from api.live import sockets
from api.live.feeds import ExecutionFeed
from api.live.following import Following
from api.live.signals import Signals
from domain.agent import AgentDeregistered, AgentStatus
from domain.run_events import TaskCompleted, TaskFailed, TaskStarted
from tests.api.conftest import System
from tests.api.living import HELLO, a_run, beat
from tests.api.test_executions import attempt
from tests.support.listening import heard, heard_until
from tests.support.waiting import until


def without(frame: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    return {name: value for name, value in frame.items() if name not in names}


async def test_an_execution_is_told_in_the_words_of_the_document(system: System, host: str) -> None:
    run_id = await a_run(system)
    async with connect(f"ws://{host}/ws/executions/{run_id}") as socket:
        now = await heard(socket)
        assert (now["type"], now["status"]) == ("execution.status", "running")
        said = await system.say(TaskStarted(**attempt(run_id, "t0")))
        frame = await heard_until(socket, "task.started")  # what led to it may come before
        assert frame == {
            "type": "task.started",
            "execution_id": run_id,
            "task_id": "t0",
            "agent": "SIM",
            "timestamp": frame["timestamp"],
            "position": said.position,
        }
        assert frame["timestamp"].endswith("Z")
        result = {"safety_factor": 1.8}
        said = await system.say(TaskCompleted(**attempt(run_id, "t0"), result=result))
        frame = await heard(socket)
        assert without(frame, "timestamp", "position") == {
            "type": "task.completed",
            "execution_id": run_id,
            "task_id": "t0",
            "result": result,
        }
        end = await heard_until(socket, "execution.status")
        assert (end["status"], end["position"]) == ("completed", said.position)


async def test_a_failure_says_why(system: System, host: str) -> None:
    run_id = await a_run(system)
    async with connect(f"ws://{host}/api/v1/ws/executions/{run_id}") as socket:
        await system.say(TaskStarted(**attempt(run_id, "t0")))
        failed = TaskFailed(**attempt(run_id, "t0"), error_class="business", reason="no licence")
        await system.say(failed)
        frame = await heard_until(socket, "task.failed")
        assert (frame["error_class"], frame["reason"]) == ("business", "no licence")
        assert frame["retry_in"] is None


async def test_agents_are_told_in_the_words_of_the_document(system: System, host: str) -> None:
    async with connect(f"ws://{host}/ws/agents?after=0") as socket:
        said = await system.say(HELLO)
        frame = await heard(socket)
        assert frame == {
            "type": "agent.registered",
            "agent_id": "cad_agent_001",
            "agent_type": "CAD",
            "role": "execution",
            "timestamp": frame["timestamp"],
            "position": said.position,
        }
        ill = AgentStatus(
            agent_id="cad_agent_001", lifecycle="working", health="unhealthy", reason="it fails"
        )
        await system.say(ill)
        frame = await heard(socket)
        assert (frame["type"], frame["status"], frame["load"]) == ("agent.status", "failed", None)
        await system.say(AgentDeregistered(agent_id="cad_agent_001"))
        assert (await heard(socket))["type"] == "agent.deregistered"


async def test_heartbeats_tell_how_far_a_task_is_and_how_busy_its_agent(
    system: System, host: str
) -> None:
    run_id = await a_run(system)
    assert system.deps.live is not None
    signals = Signals(system.deps.live.hub)
    said = await system.say(HELLO)
    await system.http.get("/api/v1/agents", params={"min_position": said.position})
    async with (
        connect(f"ws://{host}/ws/executions/{run_id}") as socket,
        connect(f"ws://{host}/ws/agents") as agents,
    ):
        await heard_until(socket, "execution.status")
        assert (await heard(agents))["load"] is None
        for _ in range(3):
            signals.hear(beat(run_id, share=0.45, load=0.82))
        frame = await heard(socket)
        assert frame == {
            "type": "task.progress",
            "execution_id": run_id,
            "task_id": "t0",
            "progress": 0.45,
            "timestamp": "2026-01-18T10:30:00Z",
        }
        assert await heard(agents) == {
            "type": "agent.status",
            "agent_id": "cad_agent_001",
            "status": "active",
            "load": 0.82,
            "timestamp": "2026-01-18T10:30:00Z",
        }
        signals.hear(beat(run_id, share=0.5, load=0.82))
        assert (await heard(socket))["progress"] == 0.5


async def test_who_is_cut_fifty_times_hears_every_event_once_and_in_order(
    system: System, host: str
) -> None:
    run_id = await a_run(system, tasks=60)
    whims = random.Random(7)
    told: list[int] = []
    cuts = 0

    async def work() -> None:
        for number in range(60):
            await system.say(TaskStarted(**attempt(run_id, f"t{number}")))
            await system.say(TaskCompleted(**attempt(run_id, f"t{number}"), result={"n": number}))

    working = asyncio.create_task(work())
    is_over = False
    while not is_over:
        after = told[-1] if told else 0
        async with connect(f"ws://{host}/ws/executions/{run_id}?after={after}") as socket:
            for _ in range(whims.randint(0, 5)):
                frame = await heard(socket)
                told.append(frame["position"])
                is_over = frame.get("status") == "completed"
                if is_over:
                    break
            socket.transport.abort()
        cuts += 1
    await working
    recorded = [event.position for event in await system.deps.streams.read(run_id)]
    assert told == recorded
    assert cuts >= 50


async def test_a_reader_that_is_too_slow_hears_where_each_task_stands(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.live.hub.MOST_WAITING", 4)
    run_id = await a_run(system, tasks=8)
    live = system.deps.live
    assert live is not None
    batches = Following(live.hub, ExecutionFeed(run_id, live.places), system.deps.clock).batches(
        None
    )
    async with aclosing(batches) as told:
        async with asyncio.timeout(10):
            said = [frame for frame in await anext(told) if frame.type == "execution.status"]
            while not said:
                said += await anext(told)
        for number in range(8):
            await system.say(TaskStarted(**attempt(run_id, f"t{number}")))
        last = await system.say(TaskCompleted(**attempt(run_id, "t0"), result={"n": 0}))
        await system.http.get("/api/v1/executions", params={"min_position": last.position})
        await until(lambda: live.hub.position >= last.position, "the hub has told of it")
        [resync] = await anext(told)
        assert (resync.type, resync.position >= last.position) == ("resync", True)
        stands = {frame.said.get("task_id"): frame.type for frame in await anext(told)}
    assert stands.pop(None) == "execution.status"
    assert stands.pop("t0") == "task.completed"
    assert stands == {f"t{number}": "task.started" for number in range(1, 8)}


async def test_readers_that_never_read_are_cut_and_keep_nothing_from_the_others(
    system: System, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "PATIENCE", 3.0)
    run_id = await a_run(system, tasks=40)
    live = system.deps.live
    assert live is not None
    deaf = [_deaf(host, run_id) for _ in range(20)]
    try:
        async with connect(f"ws://{host}/ws/executions/{run_id}?after=0") as socket:
            await until(lambda: live.hub.readers == 21, "everybody is let in")
            large = {"blob": "x" * 60_000}

            async def work() -> None:
                for number in range(40):
                    task = attempt(run_id, f"t{number}")
                    await system.say(TaskStarted(**task))
                    await system.say(TaskCompleted(**task, result=large))

            working = asyncio.create_task(work())
            told = [await heard(socket)]
            while told[-1].get("status") != "completed":
                told.append(await heard(socket))
            await working
            await until(lambda: live.hub.readers == 1, "those that do not read are cut")
    finally:
        for one in deaf:
            one.close()
    recorded = [event.position for event in await system.deps.streams.read(run_id)]
    assert [frame["position"] for frame in told] == recorded


def _deaf(host: str, run_id: str) -> Socket:
    """Ask for live updates, and never read them."""
    name, _, port = host.partition(":")
    one = Socket()
    one.setsockopt(SOL_SOCKET, SO_RCVBUF, 4_096)
    one.connect((name, int(port)))
    one.sendall(
        f"GET /ws/executions/{run_id} HTTP/1.1\r\nHost: {host}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    return one


async def test_a_stream_of_events_resumes_after_the_last_id(system: System, host: str) -> None:
    run_id = await a_run(system)
    await system.say(TaskStarted(**attempt(run_id, "t0")))
    url = f"http://{host}/api/v1/executions/{run_id}/events"
    async with httpx2.AsyncClient() as http:
        whole = await events(http, url, most=3, after=0)
        assert [event["event"] for event in whole] == [
            "execution.status",
            "task.dispatched",
            "task.started",
        ]
        rest = await events(http, url, most=1, last=whole[1]["id"])
        assert rest == whole[2:]
        assert orjson.loads(rest[0]["data"])["position"] == int(rest[0]["id"])


async def events(
    http: httpx2.AsyncClient, url: str, *, most: int, after: int | None = None, last: str = ""
) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    event: dict[str, str] = {}
    headers = {"Last-Event-ID": last} if last else {}
    params = {} if after is None else {"after": after}
    async with (
        asyncio.timeout(10),
        http.stream("GET", url, params=params, headers=headers) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
                continue
            if "data" in event:
                found.append(event)
            event = {}
            if len(found) == most:
                return found
    raise AssertionError("the stream has ended")
