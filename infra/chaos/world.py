"""Everything that a run is made of: servers of its own, a proxy before each, and the processes."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from infra.chaos import ledger
from infra.chaos.history import History
from infra.chaos.points import Kind
from infra.chaos.processes import Processes, send
from infra.chaos.proxy import Proxy
from infra.migrations import upgrade
from infra.processes.local_key import local_key
from infra.services.leash import end, launch
from infra.services.ports import free_port
from infra.services.postgres import EmbeddedPostgres
from infra.services.rabbitmq import PrivateRabbitMQ

AGENT = "infra.chaos.agent"
READY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of it there is."""

    coordinators: int = 2
    agents: int = 4
    concurrency: int = 16


@dataclass(slots=True, kw_only=True)
class World:
    """A stack that may be harmed."""

    folder: Path
    size: Size
    history: History
    postgres: EmbeddedPostgres
    rabbitmq: PrivateRabbitMQ
    processes: Processes
    dsn: str
    """The database itself, past every proxy; for the harness, which is never cut."""

    amqp_url: str
    """The broker itself, past every proxy."""

    proxies: dict[str, Proxy] = field(default_factory=dict[str, Proxy])
    """By who is connected to what: ``coordinator.db``, ``agent_1.amqp``."""

    env: Mapping[str, str] = field(default_factory=dict[str, str])
    api_port: int = 0
    token: str = ""
    """The key of the owner of the stack."""

    @property
    def api_url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.api_port}"

    def client(self, *, timeout: float) -> httpx2.AsyncClient:
        """Return what asks the API, as the owner of the stack."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx2.AsyncClient(timeout=timeout, headers=headers)

    def heal(self) -> None:
        """Undo what was done to connections and processes; servers are not restarted."""
        for proxy in self.proxies.values():
            proxy.heal()
        for process in self.processes.every.values():
            self.processes.arm(process, "")
            send(process, signal.SIGCONT)

    async def start(self, name: str, kind: Kind) -> None:
        """Start one process with proxies of its own."""
        env: dict[str, str] = {**self.env, ledger.HOLDER: name}
        if kind != "agent":
            proxy = await self._proxy(f"{name}.db", self.dsn)
            env["TASKLOOM_DB__DSN"] = proxy.leads_to(self.dsn)
        if kind != "projector":
            proxy = await self._proxy(f"{name}.amqp", self.amqp_url)
            env["TASKLOOM_AMQP__URL"] = proxy.leads_to(self.amqp_url)
        if kind == "agent":
            concurrency = str(self.size.concurrency)
            arguments = ["agent", AGENT, "--id", name, "--concurrency", concurrency]
        else:
            arguments = ["serve", kind]
        await self.processes.start(name, kind, *arguments, env=env)

    async def start_all(self) -> None:
        """Start everything, and return when the API answers."""
        for number in range(self.size.coordinators):
            await self.start(f"coordinator_{number + 1}", "coordinator")
        await self.start("projector", "projector")
        await self.start("api", "api")
        for number in range(self.size.agents):
            await self.start(f"agent_{number + 1}", "agent")
        await self.until_ready()

    async def until_ready(self) -> None:
        """Return when the API answers.

        Raises:
            TimeoutError: It does not.
        """
        async with asyncio.timeout(READY_S), self.client(timeout=2) as client:
            while True:
                try:
                    if (await client.get(f"{self.api_url}/livez")).is_success:
                        return
                except httpx2.HTTPError:
                    await asyncio.sleep(0.1)

    async def _proxy(self, name: str, url: str) -> Proxy:
        if name not in self.proxies:
            place = urlsplit(url)
            proxy = self.proxies[name] = Proxy(place.hostname or "127.0.0.1", place.port or 0)
            await proxy.start()
        return self.proxies[name]


@asynccontextmanager
async def opened(
    folder: Path, history: History, *, size: Size, env: Mapping[str, str] | None = None
) -> AsyncGenerator[World]:
    """Start the servers and the ledger in a folder, and end everything afterwards.

    What the database holds stays in the folder; the broker begins empty each time, as it may.
    """
    async with AsyncExitStack() as stack:
        postgres = EmbeddedPostgres(folder)
        rabbitmq = PrivateRabbitMQ(folder)
        stack.push_async_callback(postgres.stop)
        stack.push_async_callback(rabbitmq.stop)
        await asyncio.gather(postgres.start(), rabbitmq.start())
        await asyncio.to_thread(upgrade, postgres.dsn)
        token = await asyncio.to_thread(local_key, folder / "state", postgres.dsn)
        outside = launch(
            [sys.executable, "-m", "infra.chaos.ledger", folder],
            log=folder / "ledger.log",
        )
        stack.callback(end, outside, (signal.SIGTERM, 5.0))
        processes = await stack.enter_async_context(Processes(folder, history))
        port = free_port()
        world = World(
            folder=folder,
            size=size,
            history=history,
            postgres=postgres,
            rabbitmq=rabbitmq,
            processes=processes,
            dsn=postgres.dsn,
            amqp_url=rabbitmq.url,
            api_port=port,
            token=token,
            env={
                "TASKLOOM_HTTP__PORT": str(port),
                "TASKLOOM_STATE_DIR": str(folder / "state"),
                ledger.SOCKET: str(folder / "ledger.sock"),
                **(env or {}),
            },
        )

        async def close() -> None:
            for proxy in world.proxies.values():
                await proxy.stop()

        stack.push_async_callback(close)
        yield world
