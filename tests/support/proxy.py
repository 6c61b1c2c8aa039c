"""A TCP proxy that cuts connections at the worst moment."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

_COMMITTED = b"COMMIT\x00"
"""How PostgreSQL says that a transaction is durable."""


class Proxy:
    """Passes bytes on, until the answer it was told to swallow comes by."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self.swallows: Callable[[bytes], bool] = lambda _: False
        self.swallowed = 0

    def swallow_commits(self, count: int) -> None:
        """Cut the connection instead of passing on the next answers to COMMIT."""
        until = self.swallowed + count
        self.swallows = lambda answer: self.swallowed < until and _COMMITTED in answer

    def cut(self) -> None:
        """Cut every connection there is now."""
        for writer in self._writers:
            writer.transport.abort()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, back = await asyncio.open_connection(*self._target)
            ends = {writer, back}
            self._writers |= ends
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass_on(reader, back, ends, is_answer=False))
                tasks.create_task(self._pass_on(there, writer, ends, is_answer=True))
            self._writers -= ends

    async def _pass_on(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        ends: set[asyncio.StreamWriter],
        *,
        is_answer: bool,
    ) -> None:
        with suppress(OSError):
            while chunk := await source.read(65_536):
                if is_answer and self.swallows(chunk):
                    self.swallowed += 1
                    break
                target.write(chunk)
                await target.drain()
        for end in ends:
            end.transport.abort()


@asynccontextmanager
async def proxied(url: str) -> AsyncGenerator[tuple[str, Proxy]]:
    """Yield a PostgreSQL URL that leads through a proxy, and the proxy."""
    place = urlsplit(url)
    proxy = Proxy(place.hostname or "127.0.0.1", place.port or 5432)
    server = await asyncio.start_server(proxy.connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    login = f"{place.netloc.rpartition('@')[0]}@" if "@" in place.netloc else ""
    detour = place._replace(netloc=f"{login}127.0.0.1:{port}", query="sslmode=disable")
    try:
        yield urlunsplit(detour), proxy
    finally:
        server.close()
        proxy.cut()
        await server.wait_closed()
