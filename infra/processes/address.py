"""Where a running stack is, written down so that another shell finds it."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

_FILE = "stack.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to reach the parts of a stack."""

    dsn: str
    amqp_url: str
    api_url: str
    """Without a slash at its end."""

    token: str
    """The key of the admin who owns the stack."""

    is_private_database: bool
    is_embedded_broker: bool
    owner: int
    """The process that started everything and ends it."""

    pids: Mapping[str, int] = field(default_factory=dict[str, int])


def write(state_dir: Path, address: Address) -> None:
    """Write an address down, readable by its owner only: it holds passwords."""
    file = state_dir / _FILE
    part = file.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(asdict(address), indent=2) + "\n")
    part.replace(file)


def read(state_dir: Path) -> Address | None:
    """Return the address of the stack that runs here, or None where none runs."""
    try:
        address = Address(**json.loads((state_dir / _FILE).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return address if psutil.pid_exists(address.owner) else None


def forget(state_dir: Path) -> None:
    """Remove the address, if it is ours."""
    address = read(state_dir)
    if address is not None and address.owner == os.getpid():
        (state_dir / _FILE).unlink(missing_ok=True)
