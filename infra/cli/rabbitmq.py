"""``taskloom rabbitmq``: users of RabbitMQ with fresh passwords, each with the least rights."""

from pathlib import Path
from typing import Annotated

import typer

from infra.cli.output import say

app = typer.Typer(help="Users of RabbitMQ and what each may do.", no_args_is_help=True)


@app.callback()
def rabbitmq() -> None:
    """Users of RabbitMQ and what each may do."""


@app.command()
def definitions(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where the files go; made if need be.")
    ],
    agent: Annotated[
        list[str] | None,
        typer.Option(
            "--agent", metavar="ROLE.TYPE", help="A type of agents, such as execution.CAD; repeat."
        ),
    ] = None,
    vhost: Annotated[str, typer.Option(help="The virtual host.")] = "taskloom",
    most_agents: Annotated[
        int, typer.Option(min=1, max=10_000, help="Processes of one type at a time.")
    ] = 50,
) -> None:
    """Write ``definitions.json`` for RabbitMQ, and ``passwords.env`` for who connects to it.

    Every user gets a password that nobody has had before. Without ``--agent`` there is a user for
    every type that comes with Taskloom. Files that are there already are not touched.
    """
    from infra.rabbitmq import definitions as writing

    kinds = [writing.kind_of(one) for one in agent] if agent else writing.KNOWN_KINDS
    rights = writing.rights_for(kinds, most_agents=most_agents)
    passwords = writing.fresh_passwords(rights)
    found = writing.definitions(rights, passwords, vhost=vhost)
    variables = {
        f"TASKLOOM_AMQP_PASSWORD_{user.upper().replace('.', '_')}": password
        for user, password in passwords.items()
    }
    lines = "".join(f"{name}={value}\n" for name, value in variables.items())
    writing.write_new(folder, {"definitions.json": writing.written(found), "passwords.env": lines})
    say(f"{len(passwords)} users: {folder / 'definitions.json'}, {folder / 'passwords.env'}")
