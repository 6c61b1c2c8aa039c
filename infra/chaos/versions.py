"""What a run was made with, for its report."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from infra.services.binaries import choose
from infra.services.rabbitmq import rabbitmq_program

_LIBRARIES = ("aio-pika", "aiormq", "faststream", "eventsourcing", "psycopg", "pydantic", "uvicorn")


def versions() -> Mapping[str, str]:
    """Return the versions of everything that took part, and the machine."""
    postgres = choose()
    broker = rabbitmq_program()
    return {
        "commit": _commit(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": str(os.cpu_count() or 0),
        "postgres": postgres.source if postgres else "none",
        "rabbitmq": _rabbitmq(broker) if broker else "none",
        **{library: version(library) for library in _LIBRARIES},
    }


def _rabbitmq(program: Path) -> str:
    """Return the version that the folder of the programs names."""
    found = sorted(program.resolve().parents[1].glob("lib/rabbitmq_server-*"))
    folder = found[-1] if found else program.resolve().parents[1]
    return folder.name.removeprefix("rabbitmq_server-")


def _commit() -> str:
    root = Path(__file__).parents[2]
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.stdout.strip()
