"""``taskloom agent``: one agent, in the foreground."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bus.signing import SigningKey
    from infra.settings import Agents


def key_of(settings: "Agents") -> "SigningKey | None":
    """Return what an agent signs with, if the settings say so."""
    from bus.signing import read_key

    if settings.key is not None:
        return read_key(settings.key.get_secret_value())
    return None if settings.key_file is None else read_key(settings.key_file.read_text())


def agent(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="A module such as agents.workers.cad, or a .py file with AGENT."
        ),
    ],
    agent_id: Annotated[
        str | None, typer.Option("--id", help="Its id; by default made of host and process.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="How many tasks it carries out at a time.")
    ] = None,
    backup: Annotated[
        bool,
        typer.Option("--backup", help="Take only what the others of its type are too busy for."),
    ] = False,
) -> None:
    """Run one agent until it is told to end; what it has in hand it finishes first.

    It works for the stack that the settings name, or that runs here.
    """
    from agents.kit.application import Options, run
    from agents.kit.loading import load
    from agents.llm.planning import assisted
    from infra.processes import address
    from infra.processes.beginning import begin
    from infra.processes.models import panel_of
    from infra.processes.parts import required
    from infra.processes.running import run_to_its_end
    from infra.settings import Settings

    settings = Settings()
    begin(settings, process="agent")
    options = Options(
        concurrency=concurrency or settings.agents.concurrency,
        heartbeat=settings.agents.heartbeat,
        grace=settings.agents.grace,
        is_backup=backup,
        key=key_of(settings.agents),
        compresses=settings.agents.compress,
    )
    running = address.read(settings.state_dir)
    url = settings.amqp.url or (running.amqp_url if running else None)
    url = required(url, "TASKLOOM_AMQP__URL")
    found = assisted(load(reference), panel_of(settings.llm))
    run_to_its_end(run(found, url=url, agent_id=agent_id, options=options))
