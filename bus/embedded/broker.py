"""The embedded broker: a listening socket on the loopback, and everything behind it."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

from bus.embedded.connection import Connection
from bus.embedded.handshake import Terms
from bus.embedded.turn import Memory, Turn
from bus.embedded.vhost import VirtualHost

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

FRAME_MAX: Final = 131_072
CHANNEL_MAX: Final = 2047
HEARTBEAT: Final = 60  # seconds
HANDSHAKE_TIMEOUT: Final = 10.0  # seconds
MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
MEMORY_HIGH: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """What a queue holds at one moment."""

    vhost: str
    name: str
    ready: int
    unacked: int
    consumers: int


class EmbeddedBroker:
    """A broker for trying out and for testing: one process, in memory, on the loopback only.

    Port 0 takes any free port. `memory_high` is in bytes: with more than that in all queues
    together, connections that publish are not read until a fifth of it is gone again.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        user: str = "guest",
        password: str = "guest",  # noqa: S107 - the well-known one of every broker
        vhosts: Sequence[str] = ("/",),
        heartbeat: int = HEARTBEAT,
        handshake_timeout: float = HANDSHAKE_TIMEOUT,
        memory_high: int = MEMORY_HIGH,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        _check_loopback(host)
        self.turn = Turn()
        self.memory = Memory(memory_high)
        self._vhosts: dict[str, VirtualHost] = {}
        self.terms = Terms(
            user=user,
            password=password,
            vhosts=self._vhosts,
            frame_max=FRAME_MAX,
            channel_max=CHANNEL_MAX,
            heartbeat=heartbeat,
            handshake_timeout=handshake_timeout,
            max_message_bytes=max_message_bytes,
        )
        self._names = tuple(vhosts)
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: dict[Connection, asyncio.Future[None]] = {}
        self._waiting: dict[Connection, None] = {}

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

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """Where clients connect to."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        user, password = quote(self.terms.user, safe=""), quote(self.terms.password, safe="")
        return f"amqp://{user}:{password}@{host}:{self._port}/"

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        self._loop = asyncio.get_running_loop()
        for name in self._names:
            self._vhosts[name] = VirtualHost(name, self.turn, self.memory, self.settle)
        self._server = await self._loop.create_server(
            lambda: Connection(self), self._host, self._port
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close all connections and forget every queue."""
        if self._server is None:
            return
        self._server.close()
        self.turn.begin(asyncio.get_running_loop().time())
        gone = list(self._connections.values())
        for connection in list(self._connections):
            connection.shut()
        if gone:
            await asyncio.wait(gone, timeout=1)
        for connection in list(self._connections):
            connection.cut()
        for vhost in self._vhosts.values():
            for queue in list(vhost.queues.values()):
                vhost.delete_queue(queue)
        self._vhosts.clear()
        await self._server.wait_closed()
        self._server = None

    def queues(self) -> Sequence[QueueSnapshot]:
        """Return what each queue holds right now."""
        return [
            QueueSnapshot(
                vhost=vhost.name,
                name=queue.name,
                ready=queue.ready,
                unacked=queue.unacked,
                consumers=queue.readers.count,
            )
            for vhost in self._vhosts.values()
            for queue in vhost.queues.values()
        ]

    def joined(self, connection: Connection) -> None:
        """Note that a connection is open."""
        self._connections[connection] = asyncio.get_running_loop().create_future()

    def left(self, connection: Connection) -> None:
        """Note that a connection is gone."""
        self._waiting.pop(connection, None)
        gone = self._connections.pop(connection, None)
        if gone is not None and not gone.done():
            gone.set_result(None)

    def waits(self, connection: Connection) -> None:
        """Note that a connection is not read until there is room again."""
        self._waiting[connection] = None

    def settle(self) -> None:
        """Finish this turn."""
        self.turn.settle()
        if self._waiting and self.memory.has_room:
            waiting = list(self._waiting)
            self._waiting.clear()
            for connection in waiting:
                connection.resume()


def _check_loopback(host: str) -> None:
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise ValueError(
            f"the embedded broker listens on the loopback only, not on {host}: "
            "connect to RabbitMQ to be reached from elsewhere"
        )
