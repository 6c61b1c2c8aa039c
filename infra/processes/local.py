"""The local stack: everything that Taskloom is, on this machine, as processes that end with us.

What the settings name is used; what they leave open is started: a private PostgreSQL under the
state folder, and the embedded broker as a process of its own. Each agent is a process of its own.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from domain.errors import TaskloomError
from infra.processes import address
from infra.processes.address import Address
from infra.processes.children import Program
from infra.processes.supervisor import Supervisor
from infra.services.ports import free_port, is_free
from infra.settings import Settings

T = TypeVar("T")

CORE = ("coordinator", "projector", "api")
PLANNERS = ("meta_planner", "meta", "cad", "sim", "comp", "supp")
WORKERS = ("meta", "cad", "sim", "comp", "supp", "noop")
BROKER = "broker"


class Interrupted(TaskloomError):
    """Ctrl-C or SIGTERM has ended the stack before its work was done."""

    code = "interrupted"

    def __init__(self) -> None:
        super().__init__("interrupted; everything is stopped")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStack:
    """A stack that runs, or is on its way."""

    address: Address
    supervisor: Supervisor
    state_dir: Path
    postgres: str
    """Which PostgreSQL it is, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What of the stack is to run here."""

    core: Sequence[str] = CORE
    agents: bool = True


async def with_stack(
    settings: Settings,
    work: Callable[[LocalStack], Awaitable[T]],
    *,
    share: Share | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> T:
    """Start the stack, do some work with it, and stop it, whatever happens.

    The work begins when the processes have been started, not when they answer: what is published
    meanwhile waits in the queues. ``told`` hears what is being waited for.

    Raises:
        Interrupted: A signal came first.
        ServiceUnavailable: A part does not start.
    """
    share = share or Share()
    state_dir = settings.state_dir.resolve()
    state_dir.mkdir(parents=True, exist_ok=True)
    async with Supervisor(state_dir) as supervisor, AsyncExitStack() as services:
        services.push_async_callback(supervisor.stop)
        services.callback(address.forget, state_dir)
        port = settings.http.port
        amqp_url = settings.amqp.url
        api_port = port if port and is_free(port, settings.http.host) else free_port()
        env = {"TASKLOOM_HTTP__PORT": str(api_port), "TASKLOOM_STATE_DIR": str(state_dir)}
        if amqp_url is None:
            amqp_url = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
            env["TASKLOOM_AMQP__URL"] = amqp_url
            await supervisor.start(_serve(BROKER, env))
        told("starting PostgreSQL" if settings.db.dsn is None else "upgrading the database")
        dsn, postgres = await _database(settings, supervisor, services)
        env["TASKLOOM_DB__DSN"] = dsn
        told("starting the processes")
        await supervisor.start(*(_serve(part, env) for part in share.core))
        if share.agents:
            await supervisor.start(*(_agent("planner", kind, env) for kind in PLANNERS))
            await supervisor.start(*(_agent("worker", kind, env) for kind in WORKERS))
        stack = LocalStack(
            address=Address(
                dsn=dsn,
                amqp_url=amqp_url,
                api_url=f"http://{settings.http.host}:{api_port}",
                is_private_database=settings.db.dsn is None,
                is_embedded_broker=settings.amqp.url is None,
                owner=os.getpid(),
                pids={one.name: one.pid for one in supervisor.status() if one.pid},
            ),
            supervisor=supervisor,
            state_dir=state_dir,
            postgres=postgres,
        )
        address.write(state_dir, stack.address)
        return await work(stack)
    raise Interrupted


async def _database(
    settings: Settings, supervisor: Supervisor, services: AsyncExitStack
) -> tuple[str, str]:
    """Return the DSN of a database that is ready for use, and which PostgreSQL it is on."""
    from infra.migrations import upgrade
    from infra.services.postgres import EmbeddedPostgres

    if settings.db.dsn is not None:
        await asyncio.to_thread(upgrade, settings.db.dsn)
        return settings.db.dsn, "as set"
    postgres = EmbeddedPostgres(settings.state_dir)
    await services.enter_async_context(postgres)
    services.push_async_callback(supervisor.stop)  # whoever uses it ends before it
    await asyncio.to_thread(upgrade, postgres.dsn)
    return postgres.dsn, postgres.source


def _serve(part: str, env: dict[str, str]) -> Program:
    return Program(name=part, command=[*_TASKLOOM, "serve", part], env=dict(env))


def _agent(sort: str, kind: str, env: dict[str, str]) -> Program:
    module = f"agents.{sort}s.{kind}"
    name = f"{kind}_{sort}_001"
    return Program(name=name, command=[*_TASKLOOM, "agent", module, "--id", name], env=dict(env))


_TASKLOOM = (sys.executable, "-m", "infra.cli")
