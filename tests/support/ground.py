"""What the servers of a test run stand on: a loop, a folder, an end."""

import asyncio
import os
import shutil
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urlsplit, urlunsplit

T = TypeVar("T")


class Ground:
    """Where servers of one test run are started, and what ends them."""

    def __init__(self) -> None:
        self._ends = ExitStack()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._folder: Path | None = None

    def run(self, work: Coroutine[None, None, T]) -> T:
        """Run a coroutine on the loop of our servers.

        A thread of its own: it lives as long as the run, which the leash of the servers needs, and
        keeps clear of the loops that pytest makes and closes.
        """
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            thread = threading.Thread(target=self._loop.run_forever, name="servers", daemon=True)
            thread.start()
            self._ends.callback(self._loop.close)
            self._ends.callback(thread.join)
            self._ends.callback(self._loop.call_soon_threadsafe, self._loop.stop)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def at_end(self, work: Callable[[], object]) -> None:
        """Call this when the run ends; the last given is the first called."""
        self._ends.callback(work)

    def folder(self) -> Path:
        """Return a folder for the data of our servers, gone when the run ends."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="taskloom-test-"))
            self._folder.chmod(0o755)  # PostgreSQL runs as somebody else when we are root
            self._ends.callback(shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder

    def close(self) -> None:
        """Stop what was started."""
        self._ends.close()


@dataclass(frozen=True, slots=True)
class Choice(Generic[T]):
    """What a run uses for one service, and how to get it."""

    description: str
    start: Callable[[Ground], T]
    is_real: bool = True


def requires_real() -> bool:
    """Say whether this run must fail rather than leave anything out."""
    return os.environ.get("TASKLOOM_TEST_REQUIRE") == "real"


def docker_answers() -> bool:
    """Say whether a Docker daemon answers."""
    if not ("DOCKER_HOST" in os.environ or Path("/var/run/docker.sock").exists()):
        return False
    with warnings.catch_warnings(action="ignore"):  # the library's own deprecations
        import docker
        from docker.errors import DockerException

        try:
            with closing(docker.from_env(timeout=3)) as client:
                return bool(client.ping())  # pyright: ignore[reportUnknownMemberType] - untyped library
        except (DockerException, OSError):
            return False


def listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def without_password(url: str) -> str:
    place = urlsplit(url)
    return urlunsplit(place._replace(netloc=place.netloc.rpartition("@")[2]))
