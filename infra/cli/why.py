"""``taskloom why``: what keeps a task, or a run, and the command that would unblock it."""

from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.output import AsJson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from api.why_answers import CauseAnswer, RunWhy, TaskWhy
    from bus.owed import Depth
    from domain.leases import WorkKind
    from infra.settings import Settings
    from projections.explain import Seen


def why(
    what: Annotated[
        str, typer.Argument(metavar="RUN|TASK", help="A run; or a task of the one run that has it.")
    ],
    task_id: Annotated[
        str | None, typer.Argument(metavar="[TASK]", help="A task of the run.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say why a task is not done, down to the root, and which command would unblock it.

    For a run, say what its tasks wait for that wait for no other one.
    """
    import asyncio

    from api.why_answers import TaskWhy
    from infra.cli.output import print_json
    from infra.settings import Settings

    is_run = task_id is not None or what.startswith("exec_")
    run_id, wanted = (what, task_id) if is_run else (None, what)
    answer = asyncio.run(_ask(Settings(), run_id, wanted))
    if as_json:
        print_json(answer.model_dump(mode="json"))
    elif isinstance(answer, TaskWhy):
        _show_task(answer)
    else:
        _show_run(answer)


async def _ask(settings: "Settings", run_id: str | None, task_id: str | None) -> "TaskWhy | RunWhy":
    from datetime import UTC, datetime, timedelta

    from api.why_answers import why_run, why_task
    from infra.cli.reading import record
    from projections.explain import Surroundings
    from projections.positions import prepare
    from projections.why import WHY, run_of, see_run, see_task

    async with record(settings) as opened:
        async with opened.pool.connection() as connection:
            await prepare(connection, WHY)
        async with opened.pool.connection() as connection, connection.transaction():
            await connection.execute("set transaction isolation level repeatable read, read only")
            if run_id is None:
                run_id = await run_of(connection, str(task_id))
            seen = (
                await see_run(connection, run_id)
                if task_id is None
                else await see_task(connection, run_id, task_id)
            )
        around = Surroundings(
            now=datetime.now(UTC),
            lease=timedelta(seconds=settings.agents.lease),
            depths=await _depths(settings, seen),
        )
    return why_run(seen, around) if task_id is None else why_task(seen, task_id, around)


async def _depths(settings: "Settings", seen: "Seen") -> "Mapping[WorkKind, Depth]":
    """Ask the broker, if it matters, and if it answers."""
    import aio_pika
    from aiormq.exceptions import AMQPError

    from bus.connect import with_heartbeat
    from bus.depths import BrokerDepths, work_depths
    from infra.cli.output import say
    from infra.processes import address
    from projections.explain import kinds_of

    running = address.read(settings.state_dir)
    url = settings.amqp.url or (running.amqp_url if running else None)
    kinds = kinds_of(seen)
    if url is None or not kinds:
        return {}
    try:
        async with await aio_pika.connect(with_heartbeat(url, name="why"), timeout=5) as connection:
            return await work_depths(BrokerDepths(connection), kinds)
    except (AMQPError, OSError, TimeoutError) as error:
        say(f"the broker cannot be asked: {str(error) or type(error).__name__}")
        return {}


def _show_task(answer: "TaskWhy") -> None:
    if not answer.chain:
        print(f"{answer.task_id} is {answer.status}: there is nothing to wait for")
        return
    for depth, step in enumerate(answer.chain):
        if answer.left_out and depth == len(answer.chain) // 2:
            print(f"{'  ' * depth}… {answer.left_out} more")
        print(f"{'  ' * depth}{'└ ' if depth else ''}{step.task_id}: {step.says}")
    _show_commands([answer.chain[-1]])
    if answer.other_causes:
        print(f"\nin the end it waits for {answer.other_causes} more:")
        _show_lines(answer.others)


def _show_run(answer: "RunWhy") -> None:
    reason = f": {answer.reason}" if answer.reason else ""
    print(f"{answer.execution_id} is {answer.status}{reason}")
    if answer.causes:
        print()
        _show_lines(answer.causes)
        if answer.total > len(answer.causes):
            print(f"  … and {answer.total - len(answer.causes)} more")
        _show_commands(answer.causes)


def _show_lines(steps: "Sequence[CauseAnswer]") -> None:
    for step in steps:
        print(f"  {step.task_id}: {step.says}")


def _show_commands(steps: "Sequence[CauseAnswer]") -> None:
    """Print the commands that would unblock something, each once."""
    from infra.cli.output import called

    lines = dict.fromkeys(command for step in steps for command in step.unblock)
    for line in lines:
        print(f"→ {line.replace('taskloom', called(), 1)}")
