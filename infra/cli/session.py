"""Carrying one thing out: on the stack that runs here, or on one that is started for it."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from domain.errors import TaskloomError
from infra.cli.client import Client
from infra.cli.display import Display, choose
from infra.cli.failures import FinishedFailed
from infra.cli.follow import follow, limited, require_success, submit
from infra.cli.formats.files import Wanted
from infra.cli.log import last_position
from infra.cli.output import called, print_json, say
from infra.cli.progress import Progress
from infra.cli.results import as_json, show, show_failures
from infra.processes import address
from infra.processes.address import Address
from infra.processes.local import LocalStack, with_stack
from infra.processes.parts import open_kek
from infra.settings import Settings
from infra.store.kek import Kek
from infra.store.store import PostgresStore

PATIENCE = 60.0
"""Seconds in which a stack that was just started has to answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What is to be carried out, and how."""

    wanted: Wanted
    always_fresh: bool = False
    """Whether to start a stack even where one runs, which is then an error."""

    keep: bool = False
    """Whether a stack that was started stays up until Ctrl-C."""

    as_json: bool = False
    timeout: float | None = None
    """Seconds it may take, all in all."""

    after: Callable[[Progress, Address], None] | None = None
    """Is told the end, to say more."""


async def carry_out(settings: Settings, session: Session) -> None:
    """Submit what is wanted, show how far it has come, then what it led to.

    Raises:
        FinishedFailed: It did not end well.
        TimeoutError: It took longer than it may.
        TaskloomError: It was refused, or the stack does not answer.
    """
    running = address.read(settings.state_dir)
    with closing(choose()) as display:
        if running is not None and not session.always_fresh:
            display.tell(f"using the stack at {running.api_url}")
            plans: list[str] = []
            try:
                progress = await _follow(
                    running, session, display, kek=open_kek(settings), submitted=plans.append
                )
            except TimeoutError as error:
                for plan_id in plans:
                    error.add_note(f"it goes on: `{called()} plan watch {plan_id}`")
                raise
            display.close()
            _show(progress, session, running)
            return

        async def work(stack: LocalStack) -> None:
            progress = await _on_new_stack(stack, session, display, open_kek(settings))
            display.close()
            _show(progress, session, stack.address)
            if session.keep:
                say(f"everything runs until Ctrl-C; try {stack.address.api_url}/api/v1/docs")
                await stack.supervisor.until_interrupted()

        await with_stack(settings, work, told=display.tell)


async def _on_new_stack(
    stack: LocalStack, session: Session, display: Display, kek: Kek
) -> Progress:
    """Follow, and watch at the same time that the stack does not fall over."""
    following = asyncio.create_task(_follow(stack.address, session, display, kek=kek))
    watching = asyncio.create_task(
        stack.supervisor.wait_until(following.done, "the plan ends", seconds=float("inf"))
    )
    try:
        await asyncio.wait({following, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not following.done():
            await watching  # raises what has fallen over
        return await following
    except (TaskloomError, TimeoutError) as error:
        error.add_note(f"the logs are in {_shown(stack.supervisor.logs)}")
        raise
    finally:
        watching.cancel()
        following.cancel()
        await asyncio.wait({following, watching})


async def _follow(
    where: Address,
    session: Session,
    display: Display,
    *,
    kek: Kek,
    submitted: Callable[[str], None] = lambda _: None,
) -> Progress:
    async with (
        limited(session.timeout),
        PostgresStore(where.dsn, pool_max=2, kek=kek) as store,
        Client(where.api_url, where.token) as client,
    ):
        log = store.log()
        position = await asyncio.to_thread(last_position, where.dsn)
        display.tell("waiting for the API")
        answer = await submit(client, session.wanted, patience=PATIENCE)
        display.tell("waiting for the first event")
        plan_id = str(answer["plan_id"])
        submitted(plan_id)
        return await follow(plan_id, log, display, after=position)


def _show(progress: Progress, session: Session, where: Address) -> None:
    if session.as_json:
        print_json(as_json(progress))
    else:
        show(progress)
    try:
        require_success(progress)
    except FinishedFailed:
        if not session.as_json:
            show_failures(progress)
        raise
    if session.after is not None:
        session.after(progress, where)


def _shown(path: Path) -> str:
    """Return a path as somebody standing here would write it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
