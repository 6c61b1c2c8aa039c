"""``taskloom serve``: one process of the system, in the foreground."""

from enum import StrEnum
from typing import Annotated

import typer


class Part(StrEnum):
    """The processes there are, beside the agents."""

    COORDINATOR = "coordinator"
    PROJECTOR = "projector"
    API = "api"
    BROKER = "broker"


def serve(
    part: Annotated[Part, typer.Argument(help="Which one; broker is the embedded one.")],
) -> None:
    """Run one process of the system until it is told to end."""
    from importlib import import_module

    from infra.processes.beginning import begin
    from infra.processes.running import run_until_told
    from infra.settings import Settings

    settings = Settings()
    begin(settings, process=part)
    module = import_module(f"infra.processes.{part}")
    run_until_told(module.run(settings), grace=settings.agents.grace)
