"""Whoever follows live updates is told everything once, in order, however often they are cut."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from socket import SO_RCVBUF, SOL_SOCKET
from socket import socket as Socket  # noqa: N812 # as a type, beside those that are read
from typing import Any

import httpx2
import orjson
import pytest
from starlette.requests import HTTPConnection
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from api.app import create_app
from api.deps import Deps
from api.identity.errors import Unauthenticated
from api.live import sockets
from api.live.feeds import ExecutionFeed
from api.live.following import Following
from api.live.signals import Signals
from bus.signals import Heartbeat, HeldTask
from domain.agent import AgentDeregistered, AgentRegistered, AgentStatus
from domain.identity import PERMISSIONS, Caller
from domain.run_events import TaskCompleted, TaskFailed, TaskStarted
from tests.api.conftest import System, an_admin
from tests.api.test_executions import attempt, started
from tests.api.test_plans import GOAL
from tests.support.listening import heard, heard_until, serving
from tests.support.waiting import until

HELLO = AgentRegistered(agent_id="cad_agent_001", agent_type="CAD", instance="i")


@pytest.fixture
async def host(system: System) -> AsyncIterator[str]:
    async with serving(create_app(known_by(system, an_admin))) as host:
        yield host


def known_by(system: System, identify: Callable[[Any], Awaitable[Caller]]) -> Deps:
    """Return the ports with another way to know who asks."""
    return replace(system.deps, identity=replace(system.deps.identity, identify=identify))


async def a_run(system: System, *, tasks: int = 1) -> str:
    """Start the execution of so many tasks that need nothing."""
    graph = {"tasks": [{"id": f"t{n}", "name": f"t{n}", "agent": "SIM"} for n in range(tasks)]}
    options = {"execution": {"limits": {"SIM": 1_000}}}
    asked = {"goal": GOAL, "task_graph": graph, "options": options}
    created = await system.http.post("/api/v1/plans/create", json=asked)
    assert created.status_code == 201, created.text
    run_id, _ = await started(system, created.json()["plan_id"])
    return run_id


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


def beat(run_id: str, *, share: float, load: float) -> Heartbeat:
    held = HeldTask(run_id=run_id, task_id="t0", epoch=1, progress=share, state="running")
    return Heartbeat(
        agent_id="cad_agent_001",
        agent_type="CAD",
        role="execution",
        instance="i",
        lifecycle="working",
        load=load,
        at="2026-01-18T10:30:00Z",  # type: ignore[arg-type] # as it comes over the wire
        cpu=0.1,
        memory_bytes=1,
        tasks=(held,),
    )


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


@pytest.mark.parametrize("path", ["/ws/executions/exec_none", "/api/v1/ws/executions/no%20id"])
async def test_an_execution_that_is_not_there_is_refused_with_a_problem(
    host: str, path: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://{host}{path}")
    response = refused.value.response
    assert response.status_code == 404
    assert orjson.loads(response.body)["code"] == "unknown-run"


async def test_a_position_that_is_none_is_refused(system: System, host: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://{host}/ws/agents?after=-1")
    assert refused.value.response.status_code == 422


async def test_pages_of_others_are_refused(host: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://{host}/ws/agents", origin="https://evil.example")  # type: ignore[arg-type] # a NewType of str
    assert refused.value.response.status_code == 403
    async with connect(f"ws://{host}/ws/agents", origin=f"http://{host}"):  # type: ignore[arg-type] # as above
        pass


KEY = {"X-API-Key": "tl_1_secret"}


async def test_a_ticket_opens_one_socket_in_the_name_of_who_asked_for_it(system: System) -> None:
    known = {"tl_1_secret"}
    app = create_app(known_by(system, _identify_by(known)))
    async with serving(app) as host, httpx2.AsyncClient(base_url=f"http://{host}") as http:
        assert (await http.post("/api/v1/tickets")).status_code == 401
        answer = await http.post("/api/v1/tickets", headers=KEY)
        assert answer.status_code == 201
        ticket = answer.json()["ticket"]
        with pytest.raises(InvalidStatus):
            await connect(f"ws://{host}/ws/agents")
        async with connect(f"ws://{host}/ws/agents?ticket={ticket}") as socket:
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{host}/ws/agents?ticket={ticket}")
            assert orjson.loads(refused.value.response.body)["code"] == "unknown-ticket"
            known.clear()
            assert await closed(socket) == (sockets.NOT_ALLOWED, "unauthenticated")


async def test_what_a_ticket_opens_cannot_be_read_in_its_table(system: System) -> None:
    answer = await system.http.post("/api/v1/tickets")
    shown = system.http.headers["authorization"].encode()
    async with system.pool.connection() as connection:
        cursor = await connection.execute("select digest, sealed from tickets")
        [(digest, sealed)] = await cursor.fetchall()
    assert answer.json()["ticket"].encode() not in digest + sealed
    assert shown not in digest + sealed


async def test_a_reader_that_keeps_talking_is_cut(system: System, host: str) -> None:
    async with connect(f"ws://{host}/ws/agents") as socket:
        for _ in range(sockets.MOST_SAID):
            await socket.send("hello?")
        assert await closed(socket) == (sockets.NOT_ALLOWED, "nothing-to-say")


async def test_readers_are_told_that_the_process_ends(system: System, host: str) -> None:
    run_id = await a_run(system)
    assert system.deps.live is not None
    async with connect(f"ws://{host}/ws/executions/{run_id}") as socket:
        await heard(socket)
        system.deps.live.hub.close()
        assert await closed(socket) == (sockets.RESTARTING, "restarting")


async def closed(socket: ClientConnection) -> tuple[int | None, str | None]:
    """Return how the server closes a socket."""
    async with asyncio.timeout(10):
        await socket.wait_closed()
    return socket.close_code, socket.close_reason


def _identify_by(known: set[str]) -> Callable[[Any], Awaitable[Caller]]:
    async def identify(request: HTTPConnection) -> Caller:
        if request.headers.get("x-api-key") not in known:
            raise Unauthenticated("nobody that we know")
        return Caller(subject="ada", role="admin", permissions=PERMISSIONS["admin"])

    return identify
