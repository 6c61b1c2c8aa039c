"""``taskloom run``: one goal, task graph or workflow from a file, to its end."""

from pathlib import Path
from typing import Annotated

import typer

from infra.cli.output import AsJson

File = Annotated[
    Path,
    typer.Argument(
        exists=True,
        dir_okay=False,
        help="A goal, a task graph or a WfCommons instance, as JSON, packed with gzip or not.",
    ),
]


def run(
    file: File,
    time_scale: Annotated[
        float,
        typer.Option(min=0.0, help="Of a workflow's runtimes; 0 does not wait for any."),
    ] = 0.0,
    timeout: Annotated[
        float | None, typer.Option(min=0.0, help="Seconds it may take, all in all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Carry out what a file asks for, on the running stack or one started for it."""
    import asyncio

    from infra.cli.formats.files import read
    from infra.cli.session import Session, carry_out
    from infra.settings import Settings

    wanted = read(file, time_scale=time_scale)
    session = Session(wanted=wanted, as_json=as_json, timeout=timeout)
    asyncio.run(carry_out(Settings(), session))
