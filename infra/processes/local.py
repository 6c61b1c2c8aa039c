"""The local stack: everything that Taskloom is, on this machine, as processes that end with us.

What the settings name is used; what they leave open is started: a private PostgreSQL under the
state folder, and the embedded broker as a process of its own. Each agent is a process of its own.
"""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import aio_pika
from aiormq.exceptions import AMQPError

from agents.kit.identity import name_of
from bus.connect import with_heartbeat, without_password
from bus.together import end
from domain.errors import TaskloomError
from domain.values import Role
from infra.processes import address
from infra.processes.address import Address
from infra.processes.children import Program
from infra.processes.known_secrets import refuse_known_secrets
from infra.processes.local_key import local_key
from infra.processes.nursery import COMMAND, Nursery
from infra.processes.supervisor import Supervisor
from infra.processes.vigil import Vigil
from infra.services.errors import ServiceUnavailable
from infra.services.ports import free_port, is_free
from infra.settings import Settings, misspelt

T = TypeVar("T")

CORE = ("coordinator", "projector", "api")
PLANNERS = ("meta_planner", "meta", "cad", "sim", "comp", "supp")
WORKERS = ("meta", "cad", "sim", "comp", "supp", "noop")
BROKER = "broker"
BROKER_ANSWERS_IN = 10.0
"""Seconds."""


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

    def write_down(self) -> None:
        """Write down where everything is, for those who look for it from elsewhere."""
        pids = {one.name: one.pid for one in self.supervisor.status() if one.pid}
        address.write(self.state_dir, replace(self.address, pids=pids))


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
        KnownSecret: A secret that everybody knows would protect something.
        ServiceUnavailable: A part does not start.
    """
    refuse_known_secrets(settings)
    share = share or Share()
    state_dir = settings.state_dir.resolve()
    state_dir.mkdir(parents=True, exist_ok=True)
    async with (
        Nursery() as nursery,
        Supervisor(state_dir, nursery=nursery) as supervisor,
        AsyncExitStack() as services,
    ):
        services.push_async_callback(supervisor.stop)
        services.callback(address.forget, state_dir)
        env = {"TASKLOOM_STATE_DIR": str(state_dir)}
        for name, meant in misspelt(os.environ).items():
            told(f"{name} sets nothing; did you mean {meant}?")
        if settings.amqp.url is not None:
            await _require_broker(settings.amqp.url)
        told("starting PostgreSQL" if settings.db.dsn is None else "upgrading the database")
        async with asyncio.TaskGroup() as tasks:
            database = tasks.create_task(_database(settings, supervisor, services))
            amqp_url = settings.amqp.url
            if amqp_url is None:
                amqp_url = f"amqp://taskloom:{secrets.token_urlsafe(18)}@127.0.0.1:{free_port()}/"
                env["TASKLOOM_AMQP__URL"] = amqp_url
                await supervisor.start(_serve(BROKER, env))
        dsn, postgres = database.result()
        token = await asyncio.to_thread(local_key, state_dir, dsn)
        port = settings.http.port
        if not port or not is_free(port, settings.http.host):
            port = free_port()
        env |= {"TASKLOOM_DB__DSN": dsn, "TASKLOOM_HTTP__PORT": str(port)}
        scheme = "http" if settings.http.certificate is None else "https"
        told("starting the processes")
        await supervisor.start(*(_serve(part, env) for part in share.core))
        if share.agents:
            agents = [_agent("planner", kind, env) for kind in PLANNERS]
            agents += [_agent("worker", kind, env) for kind in WORKERS]
            await supervisor.start(*agents)
            _watch_over([one.name for one in agents], supervisor, settings, amqp_url, services)
        stack = LocalStack(
            address=Address(
                dsn=dsn,
                amqp_url=amqp_url,
                api_url=f"{scheme}://{settings.http.host}:{port}",
                token=token,
                is_private_database=settings.db.dsn is None,
                is_embedded_broker=settings.amqp.url is None,
                owner=os.getpid(),
                pids={one.name: one.pid for one in supervisor.status() if one.pid},
            ),
            supervisor=supervisor,
            state_dir=state_dir,
            postgres=postgres,
        )
        stack.write_down()
        return await work(stack)
    raise Interrupted


def _watch_over(
    agents: Sequence[str],
    supervisor: Supervisor,
    settings: Settings,
    amqp_url: str,
    services: AsyncExitStack,
) -> None:
    """Start agents again that hang, for as long as the stack runs."""
    vigil = Vigil(
        agents,
        statuses=supervisor.status,
        replace=supervisor.replace,
        hung_after=settings.agents.hung_after,
    )
    watching = asyncio.create_task(vigil.run(amqp_url), name="vigil")
    services.push_async_callback(end, (watching,))


async def _require_broker(url: str) -> None:
    """Look whether the broker is there: every process would wait for it, without a word to anybody.

    Raises:
        ServiceUnavailable: It is not.
    """
    try:
        async with asyncio.timeout(BROKER_ANSWERS_IN):
            connection = await aio_pika.connect(with_heartbeat(url, name="taskloom"))
            await connection.close()
    except (AMQPError, OSError, TimeoutError) as error:
        raise ServiceUnavailable(
            "broker",
            f"{without_password(url)} cannot be used ({str(error) or type(error).__name__});"
            " start it, correct TASKLOOM_AMQP__URL and its virtual host,"
            " or unset it to use the embedded broker",
        ) from error


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
    return Program(name=part, command=[*COMMAND, "serve", part], env=dict(env))


def _agent(sort: str, kind: str, env: dict[str, str]) -> Program:
    module = f"agents.{sort}s.{kind}"
    role: Role = "planning" if sort == "planner" else "execution"
    name = f"{name_of(kind, role)}_001"
    return Program(name=name, command=[*COMMAND, "agent", module, "--id", name], env=dict(env))
