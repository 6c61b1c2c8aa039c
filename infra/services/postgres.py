"""A private PostgreSQL cluster for ``taskloom up``, the demo and the tests.

It listens on 127.0.0.1 only and asks for a password made for this cluster (scram), so other users
of the machine stay out. It is durable: fsync on, data checksums, and the cluster is found again at
the next start. PostgreSQL refuses to be root; as root we run it as ``postgres`` or ``nobody``, and
when that account cannot reach the state folder the cluster lives under ``/var/lib/taskloom``.

    <state>/postgres/data          the cluster
    <state>/postgres/password      of its only user, readable by the owner
    <state>/postgres/postgres.log  this start; the one before in postgres.log.1
    <state>/postgres.lock          who runs it
"""

import asyncio
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import psycopg
from psycopg import sql

from infra.services.binaries import PostgresBinaries, choose, within_reach
from infra.services.errors import ServiceUnavailable
from infra.services.leash import (
    Account,
    can_enter,
    end,
    has_ended,
    launch,
    rotate,
    tail,
    tell,
    unprivileged_account,
    wait_for,
)
from infra.services.lock import FolderLock
from infra.services.ports import free_port, is_free

_NAME = "taskloom"
_HOST = "127.0.0.1"
_START_SECONDS = 60.0
_SHARED = Path("/var/lib/taskloom")
_STOP = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0))
"""Fast shutdown with a checkpoint, then immediate: the next start recovers."""


class EmbeddedPostgres:
    """One PostgreSQL cluster that we start, own and stop."""

    def __init__(
        self, state_dir: Path, *, durable: bool = True, binaries: PostgresBinaries | None = None
    ) -> None:
        self._state_dir = state_dir.resolve()
        self._durable = durable
        self._wanted = binaries
        self._account = unprivileged_account("postgres")
        self._lock = FolderLock(self._state_dir, "postgres")
        self._server: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._password = ""
        self.home = self._choose_home()
        """Where the cluster, its password and its log are."""
        self.source = ""
        """Which PostgreSQL it is, for people."""

    @property
    def dsn(self) -> str:
        """The connection URL of the database made for us; only while it runs."""
        if self._server is None:
            raise ServiceUnavailable("postgres", "is not running; start it first")
        return f"postgresql://{_NAME}:{self._password}@{_HOST}:{self._port}/{_NAME}"

    @property
    def pid(self) -> int | None:
        """The process id of the server while we own one."""
        return self._server.pid if self._server else None

    def is_alive(self) -> bool:
        """Say whether the server still runs."""
        return self._server is not None and self._server.poll() is None

    async def start(self) -> None:
        """Start the cluster, creating it the first time, and return when it accepts connections.

        Raises:
            ServiceUnavailable: Another process owns the folder, there is no PostgreSQL to run,
                or it does not start; the message ends with its log.
        """
        self._lock.acquire()
        try:
            binaries = await asyncio.to_thread(self._prepare)
            self._launch(binaries)
            await self._until_ready()
            await asyncio.to_thread(self._create_database)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Shut the server down, finishing what was committed, and give the folder back."""
        server, self._server = self._server, None
        try:
            if server is not None:
                await asyncio.to_thread(end, server, *_STOP)
        finally:
            self._lock.release()

    async def crash(self, by: signal.Signals = signal.SIGQUIT) -> None:
        """Stop the server without its goodbye: immediately, or as the kernel kills."""
        if self._server is not None:
            self._server.send_signal(by)
            await asyncio.to_thread(self._server.wait)
        await self.stop()

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

    @property
    def _data(self) -> Path:
        return self.home / "data"

    @property
    def _log(self) -> Path:
        return self.home / "postgres.log"

    def _choose_home(self) -> Path:
        home = self._state_dir / "postgres"
        self._state_dir.mkdir(parents=True, exist_ok=True)
        if can_enter(home, self._account):
            return home
        key = hashlib.sha256(str(self._state_dir).encode()).hexdigest()[:12]
        return _SHARED / key / "postgres"

    def _prepare(self) -> PostgresBinaries:
        """Make sure that there is a cluster and that nobody runs it."""
        self._make_home()
        version = self._data / "PG_VERSION"
        major = int(version.read_text()) if version.exists() else None
        found = self._wanted or choose(major)
        if found is None or major not in (None, found.major):
            needed = f"PostgreSQL {major}, which wrote {self._data}," if major else "PostgreSQL"
            raise ServiceUnavailable(
                "postgres",
                f"{needed} is not installed; install it, or set TASKLOOM_DB__DSN to a server",
            )
        binaries = within_reach(found, self._account, self.home / "binaries")
        if major is None:
            self._initialise(binaries)
        self._password = (self.home / "password").read_text().strip()
        _end_survivors(self._data)
        self.source = found.source
        return binaries

    def _make_home(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True, mode=0o755)
        self.home.chmod(0o755 if self._account else 0o700)
        _own(self.home, self._account)

    def _initialise(self, binaries: PostgresBinaries) -> None:
        # initdb that was killed leaves half a cluster without PG_VERSION as its last word.
        part = self.home / "data.part"
        shutil.rmtree(part, ignore_errors=True)
        password = self.home / "password"
        password.unlink(missing_ok=True)
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(24) + "\n")
        _own(password, self._account)
        command = [binaries.folder / "initdb", "-D", part, "-U", _NAME, "--pwfile", password]
        command += ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--data-checksums"]
        if not self._durable:
            command.append("--no-sync")
        made = subprocess.run(  # noqa: S603 - our own command, no shell
            [str(word) for word in command],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.home,
            user=self._account.uid if self._account else None,
            group=self._account.gid if self._account else None,
            extra_groups=[] if self._account else None,
        )
        if made.returncode:
            raise ServiceUnavailable("postgres", f"initdb failed: {made.stderr.strip()}")
        part.rename(self._data)

    def _launch(self, binaries: PostgresBinaries) -> None:
        self._port = self._choose_port()
        options = {
            "listen_addresses": _HOST,
            "port": str(self._port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self._durable:
            options |= {"fsync": "off", "full_page_writes": "off"}
        flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        rotate(self._log)
        self._server = launch(
            [binaries.folder / "postgres", "-D", self._data, *flags],
            log=self._log,
            account=self._account,
            cwd=self.home,
            death=signal.SIGINT,
        )

    def _choose_port(self) -> int:
        """Keep the port of the last start, so that an address someone wrote down stays true."""
        note = self.home / "port"
        last = int(note.read_text()) if note.exists() else 0
        port = last if last and is_free(last) else free_port()
        note.write_text(f"{port}\n")
        return port

    async def _until_ready(self) -> None:
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        while not self._says_ready():
            if not self.is_alive():
                raise ServiceUnavailable("postgres", f"ended at its start:\n{tail(self._log)}")
            if asyncio.get_running_loop().time() > deadline:
                raise ServiceUnavailable("postgres", f"is not ready:\n{tail(self._log)}")
            await asyncio.sleep(0.01)

    def _says_ready(self) -> bool:
        """Read the status line that pg_ctl reads, from the file of this very process."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _create_database(self) -> None:
        server = self.dsn.rpartition("/")[0] + "/postgres"
        with psycopg.connect(server, autocommit=True, connect_timeout=10) as connection:
            known = connection.execute("select 1 from pg_database where datname = %s", [_NAME])
            if known.fetchone() is None:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(_NAME)))


def _own(path: Path, account: Account | None) -> None:
    if account:
        os.chown(path, account.uid, account.gid)


def _end_survivors(data: Path) -> None:
    """End what a killed owner left running on a cluster, and the note it left.

    We hold the folder's lock, so whoever still runs on it is nobody's.
    """
    note = data / "postmaster.pid"
    noted = note.read_text().split("\n", 1)[0] if note.exists() else ""
    survivors = _on(data)
    # A server shuts its backends down; backends without their server are told one by one.
    server = [one for one in survivors if str(one.pid) == noted]
    tell(server or survivors, signal.SIGINT if server else signal.SIGQUIT)
    if not wait_for(lambda: all(map(has_ended, survivors)), 20.0):
        tell(survivors, signal.SIGKILL)
        wait_for(lambda: all(map(has_ended, survivors)), 5.0)
    # A number that a stranger's process has by now would stop postgres from starting.
    note.unlink(missing_ok=True)


def _on(data: Path) -> list[psutil.Process]:
    """Find the servers and their backends whose working folder is this cluster."""
    return [
        one
        for one in psutil.process_iter(["name", "cwd"])
        if (one.info["name"] or "").startswith("postgres") and one.info["cwd"] == str(data)
    ]
