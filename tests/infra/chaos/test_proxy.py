"""A proxy is good weather until it is told otherwise."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from infra.chaos.proxy import Proxy

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while said := await reader.read(65_536):
        writer.write(said)
    writer.close()


@asynccontextmanager
async def proxied_echo() -> AsyncGenerator[Proxy]:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Proxy("127.0.0.1", port) as proxy:
        yield proxy


@asynccontextmanager
async def connected(proxy: Proxy) -> AsyncGenerator[Ends]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    yield reader, writer
    writer.transport.abort()


async def ask(ends: Ends, said: bytes = b"hello") -> bytes:
    ends[1].write(said)
    return await asyncio.wait_for(ends[0].read(65_536), 5)


async def test_it_passes_everything_on_and_a_goodbye_too() -> None:
    async with proxied_echo() as proxy, connected(proxy) as ends:
        assert await ask(ends) == b"hello"
        ends[1].write_eof()
        assert await asyncio.wait_for(ends[0].read(), 5) == b""


async def test_it_is_slow() -> None:
    async with proxied_echo() as proxy, connected(proxy) as ends:
        proxy.latency = 0.05
        began = time.monotonic()
        assert await ask(ends) == b"hello"
        assert time.monotonic() - began >= 0.1
        proxy.heal()
        proxy.rate = 100
        began = time.monotonic()
        assert await ask(ends) == b"hello"
        assert time.monotonic() - began >= 0.1


async def test_it_is_deaf_in_one_ear_and_forgets_nothing() -> None:
    async with proxied_echo() as proxy, connected(proxy) as ends:
        proxy.stall("back")
        ends[1].write(b"hello")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ends[0].read(5), 0.2)
        proxy.heal()
        assert await asyncio.wait_for(ends[0].read(5), 5) == b"hello"


async def test_it_cuts_with_a_reset() -> None:
    async with proxied_echo() as proxy, connected(proxy) as ends:
        await ask(ends)
        assert proxy.cut() == 1
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(ends[0].read(5), 5)


async def test_it_cuts_after_so_many_bytes() -> None:
    async with proxied_echo() as proxy, connected(proxy) as ends:
        proxy.cut_after = 12
        assert await ask(ends) == b"hello"
        with pytest.raises(ConnectionResetError):
            await ask(ends)


async def test_it_swallows_an_answer() -> None:
    async with proxied_echo() as proxy, connected(proxy) as ends:
        proxy.swallow_commits(1)
        assert await ask(ends) == b"hello"
        with pytest.raises(ConnectionResetError):
            await ask(ends, b"COMMIT\0")
        assert proxy.swallowed == 1
    async with proxied_echo() as proxy, connected(proxy) as ends:
        assert await ask(ends, b"COMMIT\0") == b"COMMIT\0"


async def test_it_lets_nobody_in() -> None:
    async with proxied_echo() as proxy:
        proxy.is_closed = True
        async with connected(proxy) as ends:
            with pytest.raises((ConnectionResetError, AssertionError)):
                assert await ask(ends) == b"hello"
        proxy.heal()
        async with connected(proxy) as ends:
            assert await ask(ends) == b"hello"


def test_a_url_leads_through_it() -> None:
    proxy = Proxy("127.0.0.1", 5432)
    proxy.port = 25_000
    assert proxy.leads_to("postgresql://ann:x@127.0.0.1:5432/loom") == (
        "postgresql://ann:x@127.0.0.1:25000/loom?sslmode=disable"
    )
    assert proxy.leads_to("amqp://ann:x@127.0.0.1/loom") == "amqp://ann:x@127.0.0.1:25000/loom"
