"""One stack for all verbs that need one: on the tests' PostgreSQL, with the embedded broker."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.infra.cli.taskloom import Shell
from tests.support.databases import fresh_database


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A folder with nothing in it."""
    return Shell(folder=tmp_path)


@pytest.fixture
def open_shell() -> Iterator[Shell]:
    """A folder that PostgreSQL can reach when we are root and it runs as somebody else."""
    with TemporaryDirectory(prefix="taskloom-test-") as folder:
        Path(folder).chmod(0o755)
        yield Shell(folder=Path(folder))


@pytest.fixture(scope="module")
def stack(durable_postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell beside a stack that runs."""
    folder = tmp_path_factory.mktemp("stack")
    with fresh_database(durable_postgres) as dsn:
        env = {"TASKLOOM_DB__DSN": dsn, "TASKLOOM_HTTP__PORT": "0"}
        up = Shell(folder=folder, env=env).start("up")
        try:
            wait_for(folder / "err", "Ctrl-C stops everything", up.poll)
            # Another shell knows nothing but the folder.
            yield Shell(folder=folder)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(up.pid, signal.SIGINT)
            up.wait(30)


def wait_for(file: Path, words: str, ended: object, *, seconds: float = 60) -> None:
    """Wait until a stack has said something, or has ended."""
    deadline = time.monotonic() + seconds
    while words not in file.read_text():
        assert callable(ended)
        if ended() is not None or time.monotonic() > deadline:
            raise AssertionError(f"the stack is not up: {file.read_text()}")
        time.sleep(0.05)
