"""Who may follow live updates, and what ends it: pages, tickets, talkers, the process itself."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2
import orjson
import pytest
from starlette.requests import HTTPConnection
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from api.app import create_app
from api.identity.errors import Unauthenticated
from api.live import sockets
from domain.identity import PERMISSIONS, Caller
from tests.api.conftest import System, known_by
from tests.api.living import a_run
from tests.support.listening import heard, serving


def without(frame: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    return {name: value for name, value in frame.items() if name not in names}


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


@pytest.mark.proves("S-8b")
async def test_pages_of_others_are_refused(host: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://{host}/ws/agents", origin="https://evil.example")  # type: ignore[arg-type] # a NewType of str
    assert refused.value.response.status_code == 403
    async with connect(f"ws://{host}/ws/agents", origin=f"http://{host}"):  # type: ignore[arg-type] # as above
        pass


KEY = {"X-API-Key": "tl_1_secret"}


@pytest.mark.proves("S-3b")
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


@pytest.mark.proves("S-3b")
async def test_what_is_followed_over_http_ends_for_who_is_let_out(system: System) -> None:
    known = {"tl_1_secret"}
    app = create_app(known_by(system, _identify_by(known)))
    async with serving(app) as host, httpx2.AsyncClient(base_url=f"http://{host}") as http:
        for path in ("agents/events", f"executions/{await a_run(system)}/events"):
            async with http.stream("GET", f"/api/v1/{path}", headers=KEY, timeout=20) as answer:
                assert answer.status_code == 200
                told = answer.aiter_lines()
                await anext(told)
                known.clear()
                async with asyncio.timeout(10):
                    async for _ in told:
                        pass
            known.add("tl_1_secret")


async def test_what_a_ticket_opens_cannot_be_read_in_its_table(system: System) -> None:
    answer = await system.http.post("/api/v1/tickets")
    shown = system.http.headers["authorization"].encode()
    async with system.pool.connection() as connection:
        cursor = await connection.execute("select digest, sealed from tickets")
        [(digest, sealed)] = await cursor.fetchall()
    assert answer.json()["ticket"].encode() not in digest + sealed
    assert shown not in digest + sealed


@pytest.mark.proves("S-7b")
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
