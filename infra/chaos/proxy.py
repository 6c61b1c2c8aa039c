"""A TCP proxy that is bad weather: slow, deaf in one ear, cut at the worst moment.

One stands between every process and every server, so that a fault concerns exactly one way.
"""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Final, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from infra.services.ports import free_port

Direction = Literal["there", "back"]

BOTH: Final[Sequence[Direction]] = ("there", "back")

COMMITTED: Final = b"COMMIT\x00"
"""How PostgreSQL says that a transaction is durable."""

_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)
"""Linger for no time: the other end is told by a reset, not by a goodbye."""

_Link = tuple[asyncio.StreamWriter, asyncio.StreamWriter]


class Proxy:
    """Passes bytes on, unless it was told otherwise."""

    def __init__(self, host: str, port: int) -> None:
        """Take where to pass them on to."""
        self.target = (host, port)
        self.port = 0
        """Where it listens, once it does."""

        self.swallows: Callable[[bytes], bool] = lambda _: False
        """Says of an answer whether the connection is cut instead of passing it on."""

        self.swallowed = 0
        self.connections = 0
        """How many were ever made."""

        self.latency = 0.0
        """Seconds that every piece takes on its way, and on its way back."""

        self.jitter = 0.0
        self.rate: float | None = None
        """Bytes a second at most, in each direction of each connection."""

        self.cut_after: int | None = None
        """After so many further bytes the connection that carries the last of them is cut."""

        self.is_closed = False
        """Whether nobody is let in."""

        self._passes: dict[Direction, asyncio.Event] = {}
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._lots = random.Random()  # noqa: S311 # jitter

    async def start(self, port: int | None = None) -> None:
        """Listen, by default on a free port below those of outgoing connections."""
        for direction in BOTH:
            self._passes[direction] = asyncio.Event()
            self._passes[direction].set()
        self.port = free_port() if port is None else port
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Cut everything and listen no more."""
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def leads_to(self, url: str) -> str:
        """Return a URL of the target with the proxy in its place."""
        place = urlsplit(url)
        login = f"{place.netloc.rpartition('@')[0]}@" if "@" in place.netloc else ""
        query = "sslmode=disable" if place.scheme.startswith("postgres") else place.query
        detour = place._replace(netloc=f"{login}127.0.0.1:{self.port}", query=query)
        return urlunsplit(detour)

    def cut(self) -> int:
        """Cut every connection there is now with a reset, and return how many there were."""
        links = tuple(self._links)
        for link in links:
            _reset(link)
        return len(links)

    def has_cut(self) -> bool:
        """Say whether it was to cut after so many bytes and has."""
        return self.cut_after is None

    def swallow_commits(self, count: int) -> None:
        """Cut the connection instead of passing on the next answers to COMMIT."""
        until = self.swallowed + count
        self.swallows = lambda answer: self.swallowed < until and COMMITTED in answer

    def stall(self, *directions: Direction) -> None:
        """Keep what goes in these directions, as a network does that has lost a route."""
        for direction in directions or BOTH:
            self._passes[direction].clear()

    def heal(self) -> None:
        """Be a good connection from now on; what was kept is passed on."""
        self.swallows = lambda _: False
        self.latency = self.jitter = 0.0
        self.rate = self.cut_after = None
        self.is_closed = False
        for passes in self._passes.values():
            passes.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.is_closed:
            writer.transport.abort()
            return
        try:
            await self._passes["there"].wait()
            there, back = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        link = (writer, back)
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass_on(reader, back, link, "there"))
                tasks.create_task(self._pass_on(there, writer, link, "back"))
        finally:
            self._links.discard(link)

    async def _pass_on(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        link: _Link,
        direction: Direction,
    ) -> None:
        passes = self._passes[direction]
        with suppress(OSError):
            while chunk := await source.read(_CHUNK):
                if not passes.is_set():
                    await passes.wait()
                if self.latency or self.jitter or self.rate:
                    await asyncio.sleep(self._delay(len(chunk)))
                if direction == "back" and self.swallows(chunk):
                    self.swallowed += 1
                    _reset(link)
                    return
                if self.cut_after is not None and self._is_used_up(len(chunk)):
                    _reset(link)
                    return
                target.write(chunk)
                await target.drain()
        for end in link:
            end.close()

    def _delay(self, size: int) -> float:
        slow = size / self.rate if self.rate else 0.0
        return self.latency + slow + self._lots.uniform(0, self.jitter)

    def _is_used_up(self, size: int) -> bool:
        left = (self.cut_after or 0) - size
        self.cut_after = None if left <= 0 else left
        return left <= 0


@asynccontextmanager
async def proxied(url: str) -> AsyncGenerator[tuple[str, Proxy]]:
    """Yield a URL that leads through a proxy, and the proxy."""
    place = urlsplit(url)
    is_postgres = place.scheme.startswith("postgres")
    proxy = Proxy(place.hostname or "127.0.0.1", place.port or (5432 if is_postgres else 5672))
    async with proxy:
        yield proxy.leads_to(url), proxy


def _reset(link: _Link) -> None:
    for end in link:
        raw = end.get_extra_info("socket")
        with suppress(OSError, AttributeError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        end.transport.abort()
