"""Requests that no client would write are refused by the server as it is really served."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.errors import NotAllowed
from domain.identity import Caller
from infra.processes.api import served
from infra.settings_of_api import Http
from tests.api.conftest import app_alone
from tests.api.test_every_answer import deps

HEAD = b"POST /api/v1/executions/start HTTP/1.1\r\nHost: taskloom\r\n"
JSON = b"Content-Type: application/json\r\n"


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[int]:
    """Serve as the process does, and give the port."""
    server = uvicorn.Server(served(app, Http(port=0)))
    serving = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 # it tells nobody
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with listening(app_alone()) as port:
        yield port


async def ask(port: int, raw: bytes) -> bytes:
    """Send bytes, and return all that comes until the server ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


async def test_a_header_without_an_end_ends_the_connection(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + b"X-Long: ")
    with suppress(ConnectionError):
        async with asyncio.timeout(10):
            while not reader.at_eof():
                writer.write(b"a" * 65_536)
                await writer.drain()
                if writer.is_closing():
                    break
    writer.close()


SMUGGLED = b"0\r\n\r\nDELETE /api/v1/plans/plan_1 HTTP/1.1\r\nHost: taskloom\r\n\r\n"
RAW = {
    "64 KiB of a header": (HEAD + b"X-Long: " + b"a" * 65_536 + b"\r\n\r\n", b"4(00|31)"),
    "200 headers": (
        HEAD + b"".join(b"X-%d: 1\r\n" % number for number in range(200)) + b"\r\n",
        b"431",
    ),
    "two lengths of two kinds": (
        HEAD + JSON + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
        b"400",
    ),
    "two lengths of one kind": (
        HEAD + JSON + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"400",
    ),
    "a negative length": (HEAD + JSON + b"Content-Length: -1\r\n\r\n", b"400"),
    "an odd transfer encoding": (
        HEAD + JSON + b"Transfer-Encoding: xchunked\r\n\r\n" + SMUGGLED,
        b"400",
    ),
    "a space before the colon": (HEAD + b"Transfer-Encoding : chunked\r\n\r\n" + SMUGGLED, b"400"),
    "a carriage return in a value": (HEAD + b"X-A: a\rX-Evil: b\r\n\r\n", b"400"),
    "a null character in a value": (HEAD + b"X-A: a\0b\r\n\r\n", b"400"),
    "no host": (b"GET /livez HTTP/1.1\r\n\r\n", b"400"),
    "two hosts": (HEAD + b"Host: other\r\n\r\n", b"400"),
    "two media types": (HEAD + JSON + b"Content-Type: text/plain\r\n\r\n", b"400"),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
}


@pytest.mark.proves("S-10d", "H-13", "H-14")
@pytest.mark.parametrize(
    ("raw", "status"), list(RAW.values()), ids=[key.replace(" ", "-") for key in RAW]
)
async def test_a_raw_request_is_refused_once_and_the_connection_ends(
    port: int, raw: bytes, status: bytes
) -> None:
    answer = await ask(port, raw)
    first, _, rest = answer.partition(b"\r\n")
    assert first.split()[1] in (b"400", b"431"), answer[:200]
    assert status == b"4(00|31)" or first.split()[1] == status
    assert b"HTTP/1.1" not in rest  # what was smuggled in is not answered
    assert b"Traceback" not in rest


@pytest.mark.proves("H-05")
@pytest.mark.parametrize("is_counted", [True, False], ids=["counted", "uncounted"])
async def test_a_body_is_refused_before_all_of_it_has_come(port: int, *, is_counted: bool) -> None:
    """Nothing is sent after the byte too many: only a refusal that waits for no end is heard."""
    length = b"Content-Length: 30000000" if is_counted else b"Transfer-Encoding: chunked"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + JSON + length + b"\r\n\r\n")
    if not is_counted:
        writer.write(b"%x\r\n" % (2**20 + 1))
    writer.write(b" " * (2**20 + 1))
    async with asyncio.timeout(10):
        head, _, _ = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
        assert head.startswith(b"HTTP/1.1 413")
        assert b'"too-large"' in await reader.readuntil(b"}")
    writer.close()


@pytest.mark.proves("S-10d")
async def test_a_line_break_that_is_quoted_in_a_path_reaches_no_header(port: int) -> None:
    evil = b"GET /%0d%0aX-Evil:%201 HTTP/1.1\r\nHost: taskloom\r\nConnection: close\r\n\r\n"
    head = (await ask(port, evil)).partition(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 404")
    assert b"X-Evil" not in head


async def test_an_answer_does_not_tell_what_serves_it(port: int) -> None:
    answer = await ask(port, b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"\r\nserver:" not in answer.lower()


@pytest.mark.proves("S-7a")
async def test_requests_in_one_breath_are_counted_one_by_one() -> None:
    async def nobody(_: object) -> Caller:
        raise NotAllowed("plan:read")

    identity = replace(deps().identity, identify=nobody)
    app = create_app(deps(identity=identity, rates={"nobody": "3/hour"}))
    ask_once = b"GET /api/v1/plans HTTP/1.1\r\nHost: taskloom\r\n"
    last = ask_once + b"Connection: close\r\n\r\n"
    async with listening(app) as port:
        answers = await ask(port, (ask_once + b"\r\n") * 6 + last)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"403"] * 3 + [b"429"] * 4
