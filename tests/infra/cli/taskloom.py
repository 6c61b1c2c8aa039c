"""The command as its users start it."""

import contextlib
import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "infra.cli"]
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, read as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """A folder and an environment in which commands are run; ours are not passed on."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict[str, str])

    def environment(self) -> dict[str, str]:
        """Return what a command finds in its environment."""
        ours = {name: value for name, value in os.environ.items() if "TASKLOOM" not in name}
        state = {"TASKLOOM_STATE_DIR": str(self.folder / ".taskloom"), "PYTHONPATH": str(ROOT)}
        return ours | state | {"COLUMNS": "200"} | self.env

    def run(self, *words: str, seconds: float = 90.0, said: str = "") -> Ended:
        """Run a command to its end; ``said`` is its standard input."""
        ended = subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            input=said,
        )
        return Ended(code=ended.returncode, out=ended.stdout, err=ended.stderr)

    def run_on_a_terminal(self, *words: str) -> Ended:
        """Run a command as if a person looked at it; what it prints is in ``out``."""
        ours, theirs = pty.openpty()
        command = subprocess.Popen(
            [*COMMAND, *words],
            cwd=self.folder,
            env=self.environment() | {"TERM": "xterm-256color"},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        shown = bytearray()
        with contextlib.suppress(OSError):  # nobody writes to it any more
            while piece := os.read(ours, 65_536):
                shown += piece
        os.close(ours)
        return Ended(code=command.wait(90), out=shown.decode(), err="")

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own, with its messages in ``err``."""
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            return subprocess.Popen(
                [*COMMAND, *words],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
