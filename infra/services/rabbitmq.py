"""A private RabbitMQ node from the machine's own programs, for the tests and for chaos.

Nothing of it touches the machine's node: own home (and so its own cookie), node name, port mapper,
ports below 32768 and data folder. Debian's ``/usr/sbin/rabbitmq-server`` changes its user, so the
program behind it is called.
"""

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.services.errors import ServiceUnavailable
from infra.services.leash import end, launch, rotate, tail
from infra.services.lock import FolderLock
from infra.services.ports import free_port

_HOST = "127.0.0.1"
_START_SECONDS = 120.0
_WITH_FILES = 'ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -H -n)"; exec "$0"'
"""It sets three files aside for each quorum queue, and with 1,024 has none left for connections
after some 300. Not more than it needs: Erlang makes room for as many as it may open."""

_STOP = ((signal.SIGTERM, 2.0),)
"""A node of the tests owes nobody a slow goodbye; its data is made anew at each start."""


def rabbitmq_program() -> Path | None:
    """Find the program that starts a node as whoever calls it, or ``None``."""
    return next(_candidates(), None)


def _candidates() -> Iterator[Path]:
    places = ["usr/lib/rabbitmq/bin", "usr/lib/rabbitmq/lib/*/sbin", "opt/homebrew/sbin"]
    for place in places:
        for folder in sorted(Path("/").glob(place), reverse=True):
            if os.access(folder / "rabbitmq-server", os.X_OK):
                yield folder / "rabbitmq-server"


class PrivateRabbitMQ:
    """One RabbitMQ node with its management API that we start, own and stop."""

    def __init__(self, state_dir: Path) -> None:
        self.home = state_dir.resolve() / "rabbitmq"
        """Where its data, configuration and logs are."""
        self._lock = FolderLock(state_dir.resolve(), "rabbitmq")
        self._user = "taskloom"
        self._password = secrets.token_urlsafe(18)
        self._port = self._management_port = 0
        self._port_mapper: subprocess.Popen[bytes] | None = None
        self._node: subprocess.Popen[bytes] | None = None
        self._program = Path()
        self._env: Mapping[str, str] = {}

    @property
    def url(self) -> str:
        """The AMQP URL of its default virtual host."""
        return f"amqp://{self._user}:{self._password}@{_HOST}:{self._port}/"

    @property
    def management_url(self) -> str:
        """The URL of its management API, with the same user and password."""
        return f"http://{self._user}:{self._password}@{_HOST}:{self._management_port}/"

    @property
    def pid(self) -> int | None:
        """The process id of the node while we own one."""
        return self._node.pid if self._node else None

    async def start(self) -> None:
        """Start the node and return when it accepts connections, after 4 to 9 seconds.

        Raises:
            ServiceUnavailable: RabbitMQ is not installed, another process owns the folder, or the
                node does not start; the message ends with its log.
        """
        program = rabbitmq_program()
        port_mapper = shutil.which("epmd")
        if program is None or port_mapper is None:
            raise ServiceUnavailable("rabbitmq", "is not installed on this machine")
        self._lock.acquire()
        try:
            self._program = program
            self._configure()
            # Ours before the node's: the one that a node starts for itself outlives it.
            log = self.home / "console.log"
            self._port_mapper = launch([port_mapper], log=log, env=self._env)
            await self.launch()
        except BaseException:
            await self.stop()
            raise

    async def launch(self) -> None:
        """Start the node again where it was, with what it had, and return when it answers.

        Raises:
            ServiceUnavailable: It does not start.
        """
        log = self.home / "console.log"
        command = ["/bin/sh", "-c", _WITH_FILES, str(self._program)]
        self._node = launch(command, log=log, cwd=self.home, env=self._env)
        await self._until_ready()

    async def crash(self, *, wipe: bool = False) -> None:
        """Kill the node as a power cut would; ``wipe`` loses its disk as well."""
        if self._node is not None:
            self._node.kill()
            await asyncio.to_thread(self._node.wait)
        if wipe:
            shutil.rmtree(self.home / "data", ignore_errors=True)

    async def control(self, *words: str) -> str:
        """Run ``rabbitmqctl`` on the node and return what it printed.

        Raises:
            ServiceUnavailable: It failed, or the node does not answer.
        """
        running = await asyncio.create_subprocess_exec(
            self._program.with_name("rabbitmqctl"),
            *words,
            env=dict(self._env),
            cwd=self.home,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await running.communicate()
        if running.returncode:
            raise ServiceUnavailable("rabbitmqctl", f"{' '.join(words)}: {errors.decode()[-500:]}")
        return out.decode()

    async def stop(self) -> None:
        """Stop the node and its port mapper, and give the folder back."""
        node, self._node = self._node, None
        port_mapper, self._port_mapper = self._port_mapper, None
        try:
            for server in (node, port_mapper):
                if server is not None:
                    await asyncio.to_thread(end, server, *_STOP)
        finally:
            self._lock.release()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _configure(self) -> None:
        """Choose ports, and write down what the node starts with."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)  # passwords are in there, and the cookie that makes one its master
        self._port, self._management_port = free_port(), free_port()
        mapper_port, distribution_port = free_port(), free_port()
        (self.home / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = {_HOST}:{self._port}\n"
            f"management.tcp.ip = {_HOST}\n"
            f"management.tcp.port = {self._management_port}\n"
            f"default_user = {self._user}\n"
            f"default_pass = {self._password}\n"
            "log.console = false\n"
            "disk_free_limit.absolute = 100MB\n"
            "raft.wal_max_size_bytes = 32000000\n"
        )
        (self.home / "enabled_plugins").write_text("[rabbitmq_management].\n")
        # Its users are made at the first start of a data folder, and the password is a new one.
        shutil.rmtree(self.home / "data", ignore_errors=True)
        rotate(self.home / "console.log")
        self._env = {
            "ERL_EPMD_ADDRESS": _HOST,
            "ERL_EPMD_PORT": str(mapper_port),
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "RABBITMQ_NODENAME": f"taskloom-{distribution_port}@localhost",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.home / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.home / "data"),
            "RABBITMQ_LOG_BASE": str(self.home / "log"),
            "RABBITMQ_PID_FILE": str(self.home / "pid"),
            "RABBITMQ_DIST_PORT": str(distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # Makes the script become the node instead of its parent: one process to end.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    async def _until_ready(self) -> None:
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        while not await asyncio.to_thread(self._answers):
            log = self.home / "console.log"
            if self._node is None or self._node.poll() is not None:
                raise ServiceUnavailable("rabbitmq", f"ended at its start:\n{tail(log)}")
            if asyncio.get_running_loop().time() > deadline:
                raise ServiceUnavailable("rabbitmq", f"is not ready:\n{tail(log)}")
            await asyncio.sleep(0.1)

    def _answers(self) -> bool:
        """Ask the node to publish and consume one message, over its own API."""
        login = b64encode(f"{self._user}:{self._password}".encode()).decode()
        question = urllib.request.Request(
            f"http://{_HOST}:{self._management_port}/api/aliveness-test/%2F",
            headers={"Authorization": f"Basic {login}"},
        )
        try:
            with urllib.request.urlopen(question, timeout=10) as answer:  # noqa: S310 - as above
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
