"""A client for contract tests: unique names, patient reads, and nothing left behind."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self
from uuid import uuid4

import aio_pika
import aiormq
import aiormq.abc
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue
from aiormq.exceptions import AMQPError
from pamqp.common import FieldTable
from yarl import URL

PATIENCE = 10.0  # seconds: long enough for a busy machine, reached only by a failing test
QUIET = 0.25  # seconds in which nothing more comes


class Client:
    """Connections to one broker, closed and tidied up together."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connections: list[AbstractConnection | aiormq.abc.AbstractConnection] = []
        self._names: list[str] = []

    def name(self, what: str = "thing") -> str:
        """Return a name nobody else uses."""
        self._names.append(f"contract.{what}.{uuid4().hex[:12]}")
        return self._names[-1]

    async def connect(self) -> AbstractConnection:
        connection = await aio_pika.connect(self.url)
        self._connections.append(connection)
        return connection

    async def channel(self, *, prefetch: int = 0, confirms: bool = True) -> AbstractChannel:
        """Open a channel on a connection of its own."""
        channel = await (await self.connect()).channel(publisher_confirms=confirms)
        if prefetch:
            await channel.set_qos(prefetch)
        return channel

    async def raw(self) -> aiormq.abc.AbstractChannel:
        """Open an aiormq channel on a connection of its own."""
        connection = await aiormq.connect(self.url)
        self._connections.append(connection)
        return await connection.channel(on_return_raises=False)

    async def queue(self, channel: AbstractChannel, **arguments: int | str | bool) -> AbstractQueue:
        """Declare a durable queue with arguments such as `x_message_ttl=100`."""
        table: FieldTable = {key.replace("_", "-"): value for key, value in arguments.items()}
        return await channel.declare_queue(self.name("queue"), durable=True, arguments=table)

    async def exchange(
        self, channel: AbstractChannel, kind: str = "topic", **arguments: str
    ) -> aio_pika.abc.AbstractExchange:
        """Declare a durable exchange with arguments such as `alternate_exchange="x"`."""
        table: FieldTable = {key.replace("_", "-"): value for key, value in arguments.items()}
        return await channel.declare_exchange(
            self.name("exchange"), kind, durable=True, arguments=table
        )

    async def close(self) -> None:
        """Delete everything that was named and close every connection."""
        for connection in self._connections:
            with suppress(AMQPError, RuntimeError, ConnectionError, asyncio.CancelledError):
                await connection.close()
        if not self._names:
            return
        async with await aiormq.connect(self.url) as connection:
            channel = await connection.channel()
            for name in self._names:
                await channel.queue_delete(name)
                await channel.exchange_delete(name)


async def publish(channel: AbstractChannel, key: str, *bodies: bytes | aio_pika.Message) -> None:
    """Publish to a queue by its name, one after the other."""
    for body in bodies:
        message = body if isinstance(body, aio_pika.Message) else aio_pika.Message(body)
        await channel.default_exchange.publish(message, key)


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        met = condition()
        if (met if isinstance(met, bool) else await met) is True:
            return
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)


async def take(queue: AbstractQueue, *, no_ack: bool = False) -> AbstractIncomingMessage:
    """Get the next message of a queue, wait for it if need be."""
    deadline = time.monotonic() + PATIENCE
    while True:
        message = await queue.get(no_ack=no_ack, fail=False)
        if message is not None:
            return message
        assert time.monotonic() < deadline, "no message came"
        await asyncio.sleep(0.01)


async def take_all(queue: AbstractQueue, count: int) -> list[bytes]:
    """Get this many messages and make sure that there are no more."""
    bodies = [(await take(queue, no_ack=True)).body for _ in range(count)]
    assert await queue.get(no_ack=True, fail=False) is None
    return bodies


async def is_quiet(inbox: "asyncio.Queue[AbstractIncomingMessage]") -> bool:
    """Say whether nothing arrives for a while."""
    try:
        async with asyncio.timeout(QUIET):
            await inbox.get()
    except TimeoutError:
        return True
    return False


async def arrival(inbox: "asyncio.Queue[AbstractIncomingMessage]") -> AbstractIncomingMessage:
    """Wait for a delivery."""
    async with asyncio.timeout(PATIENCE):
        return await inbox.get()


async def ignore(_message: object) -> None:
    """Leave a delivery unacknowledged."""


class Cable:
    """A TCP connection between client and broker that can be cut."""

    def __init__(self, url: str) -> None:
        self._broker = URL(url)
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where to connect to instead of the broker."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(self._broker.with_host(host).with_port(port))

    def cut(self) -> None:
        """Reset all connections at both ends."""
        for writer in self._writers:
            writer.transport.abort()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(self._broker.host, self._broker.port or 5672)
        self._writers += (writer, there[1])
        for source, target in ((reader, there[1]), (there[0], writer)):
            task = asyncio.create_task(self._pass_on(source, target))
            self._tasks.add(task)

    @staticmethod
    async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while chunk := await source.read(65_536):
                target.write(chunk)
                await target.drain()
        target.close()
