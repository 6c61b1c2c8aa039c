"""``taskloom up``: the whole stack, supervised, until Ctrl-C."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from infra.processes.children import Status
    from infra.processes.local import LocalStack

EVERY = 0.5
"""Seconds between two looks at the processes."""


def up(
    agents: Annotated[bool, typer.Option("--agents/--no-agents", help="Start agents, too.")] = True,
    only: Annotated[
        str | None,
        typer.Option(help="Start these processes only: coordinator,projector,api.", metavar="LIST"),
    ] = None,
) -> None:
    """Start everything and keep it running; Ctrl-C stops it, a second one at once."""
    import asyncio

    from infra.processes.local import CORE, Interrupted, Share, with_stack
    from infra.settings import Settings

    core = CORE if only is None else tuple(name.strip() for name in only.split(",") if name.strip())
    if unknown := sorted(set(core) - set(CORE)):
        raise typer.BadParameter(
            f"there is no process {', '.join(unknown)}; choose from {', '.join(CORE)}",
            param_hint="--only",
        )
    share = Share(core=core, agents=agents and only is None)
    try:
        asyncio.run(with_stack(Settings(), _stay, share=share, told=_tell))
    except Interrupted:
        _tell("everything is stopped")


async def _stay(stack: "LocalStack") -> None:
    """Say where everything is, then whatever changes."""
    import asyncio

    from infra.cli.client import answers
    from infra.cli.output import called

    where = stack.address
    _tell(f"PostgreSQL  {'private: ' if where.is_private_database else ''}{stack.postgres}")
    # Agents of others need the whole URL of the embedded broker, and nobody else can tell it.
    broker = where.amqp_url if where.is_embedded_broker else _place(where.amqp_url)
    _tell(f"broker      {'embedded: ' if where.is_embedded_broker else ''}{broker}")
    for one in stack.supervisor.status():
        _tell(f"{one.name:26}process {one.pid}")
    if "api" in where.pids:
        await stack.supervisor.wait_until(
            lambda: answers(f"{where.api_url}/readyz"), "the API is ready"
        )
        _tell(f"token       {where.token}, of the admin who owns this stack")
        _tell(f"API         {where.api_url}/api/v1, explained at {where.api_url}/api/v1/docs")
    command = called()
    _tell(f"submit      {command} plan submit FILE, or {command} run FILE, in another shell")
    _tell(f"logs        {stack.supervisor.logs}; Ctrl-C stops everything")
    before = {one.name: one for one in stack.supervisor.status()}
    while True:
        await asyncio.sleep(EVERY)
        now = {one.name: one for one in stack.supervisor.status()}
        changed = [one for one in now.values() if _has_changed(before[one.name], one)]
        for one in changed:
            _tell(f"{one.name:26}{_words(one)}")
        if changed:
            stack.write_down()
        before = now


def _has_changed(old: "Status", new: "Status") -> bool:
    return (old.condition, old.pid, old.restarts) != (new.condition, new.pid, new.restarts)


def _words(status: "Status") -> str:
    if status.pid is not None:
        times = "once" if status.restarts == 1 else f"{status.restarts} times"
        return f"process {status.pid}, restarted {times}"
    last = "" if status.last_exit is None else f", last exit {status.last_exit}"
    return f"{status.condition}{last} ({status.log})"


def _place(url: str) -> str:
    from bus.connect import without_password

    return without_password(url)


def _tell(message: str) -> None:
    from infra.cli.output import say

    say(f"{time.strftime('%H:%M:%S')}  {message}")
