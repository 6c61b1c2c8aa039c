"""``taskloom demo``: everything at once, with nothing but this machine."""

from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.output import AsJson

if TYPE_CHECKING:
    from infra.cli.progress import Progress
    from infra.processes.address import Address

Keep = Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")]


def demo(keep: Keep = False, as_json: AsJson = False) -> None:
    """Start everything, submit a goal, show how it is planned and carried out, and stop."""
    import asyncio
    from importlib.resources import as_file, files

    from infra.cli.formats.files import read
    from infra.cli.session import Session, carry_out
    from infra.settings import Settings

    with as_file(files("agents") / "goals" / "brake-caliper.json") as file:
        wanted = read(file)
    session = Session(
        wanted=wanted,
        always_fresh=True,
        keep=keep,
        as_json=as_json,
        after=_say_how_to_look_further,
    )
    asyncio.run(carry_out(Settings(), session))


def _say_how_to_look_further(progress: "Progress", where: "Address") -> None:
    from urllib.parse import urlsplit

    from infra.cli.output import called, say

    run_id = progress.execution.run.id if progress.execution else progress.plan_id
    command = called()
    hints = {
        f"{command} replay {run_id}": "event by event",
        f"{command} replay {progress.plan_id} --json": "as JSON lines",
        f"{command} events tail": "everything that was recorded",
        f"{command} up": "the same stack, to stay; /api/v1/docs explains its API",
    }
    if not where.is_embedded_broker:
        host = urlsplit(where.amqp_url).hostname
        hints[f"http://{host}:15672"] = "the management console: every exchange and queue, empty"
    say("\nlook further:")
    widest = max(map(len, hints))
    for hint, why in hints.items():
        say(f"  {hint:{widest}}  {why}")
