"""Whole processes, as ``taskloom`` starts them, and a supervisor as simple as can be.

What dies is started again the next time somebody looks; how often is counted, so that a test can
say which deaths it meant. Everything is told where to find its parts by environment alone.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import orjson
import psycopg

from infra.processes.local_key import local_key

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "infra.cli")
CORE = ("coordinator", "projector", "api")
QUICK = {"TASKLOOM_AGENTS__LEASE": "2", "TASKLOOM_AGENTS__HEARTBEAT": "0.4"}
"""A lease short enough for a test, and beats enough in it for two slow cores."""

SHOWN = 25
"""Lines of each log that a failure shows."""


@dataclass(slots=True)
class _Process:
    arguments: Sequence[str]
    log: TextIO
    popen: subprocess.Popen[bytes]
    env: Mapping[str, str]
    """What it is told beside what all are told."""


@dataclass(slots=True)
class Stack:
    """The processes of one test."""

    folder: Path
    dsn: str
    amqp_url: str
    api_url: str
    token: str
    """The key of whoever owns the stack."""

    env: Mapping[str, str]
    amqp_urls: Mapping[str, str] = field(default_factory=dict[str, str])
    """Where a process finds the broker, for those that have a user of their own."""

    dsns: Mapping[str, str] = field(default_factory=dict[str, str])
    """Where a process finds the database, for those that have a role of their own."""

    deaths: Counter[str] = field(default_factory=Counter[str])
    """How often each has ended without being told to by ``kill`` or ``stop``."""

    _processes: dict[str, _Process] = field(default_factory=dict[str, _Process])

    def start(self, name: str, *arguments: str, **env: str) -> None:
        """Start a process; it runs until it is stopped."""
        log = (self.folder / f"{name}.log").open("a")
        env |= {"TASKLOOM_AMQP__URL": self.amqp_urls[name]} if name in self.amqp_urls else {}
        env |= {"TASKLOOM_DB__DSN": self.dsns[name]} if name in self.dsns else {}
        self._processes[name] = _Process(arguments, log, self._open(arguments, log, env), env)

    def pid(self, name: str) -> int:
        return self._processes[name].popen.pid

    def kill(self, name: str) -> None:
        """Kill a process as the kernel would, and start it again."""
        process = self._processes[name]
        process.popen.kill()
        process.popen.wait()
        process.popen = self._open(process.arguments, process.log, process.env)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process."""
        self._processes[name].popen.send_signal(number)

    def pause(self, name: str, *, seconds: float) -> None:
        """Let a process stand still for a while, as a machine does that swaps."""
        process = self._processes[name].popen
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    def stop(self, name: str, *, seconds: float) -> int:
        """Ask a process to end, and return its exit code."""
        process = self._processes.pop(name)
        process.popen.send_signal(signal.SIGTERM)
        try:
            return process.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            process.popen.kill()
            raise AssertionError(f"{name} has not ended in {seconds:g} s{self.words()}") from None
        finally:
            process.log.close()

    def look_after(self) -> None:
        """Start again what has ended."""
        for name, process in self._processes.items():
            if process.popen.poll() is not None:
                self.deaths[name] += 1
                process.popen = self._open(process.arguments, process.log, process.env)

    def until(self, condition: Callable[[], bool], what: str, *, seconds: float = 120.0) -> None:
        """Wait until a condition holds, and keep everything running meanwhile."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}{self.words()}"
            self.look_after()
            time.sleep(0.05)

    def words(self, name: str = "*", *, lines: int = SHOWN) -> str:
        """Return what a process, or each of them, said last."""
        texts: list[str] = []
        for log in sorted(self.folder.glob(f"{name}.log")):
            said = log.read_text(errors="replace").splitlines()[-lines:]
            texts.append("\n".join([f"\n--- {log.stem}", *said]))
        return "".join(texts)

    def end(self) -> None:
        """Kill whatever runs."""
        for process in self._processes.values():
            process.popen.kill()
        for process in self._processes.values():
            process.popen.wait()
            process.log.close()

    # -- what can be asked ---------------------------------------------------------

    def taskloom(self, *arguments: str, code: int = 0, **env: str) -> str:
        """Run the command to its end, and return what it printed."""
        return taskloom(*arguments, code=code, env={**self._surroundings(), **env})

    def ask(self, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Return what the API answers to a question, or to a command with a body."""
        question = urllib.request.Request(
            f"{self.api_url}/api/v1{path}",
            data=None if body is None else orjson.dumps(body),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
        )
        with urllib.request.urlopen(question, timeout=30) as answer:
            return orjson.loads(answer.read())

    def submit(
        self,
        tasks: Sequence[Mapping[str, object]],
        *,
        options: Mapping[str, object] | None = None,
        **goal: object,
    ) -> str:
        """Submit a graph that is to be executed at once, and return the plan's id."""
        body = {
            "goal": {"title": "a graph", **goal},
            "options": {"auto_execute": True, **(options or {})},
            "task_graph": {"tasks": tasks},
        }
        return str(self.ask("/plans/create?wait=0", body)["plan_id"])

    def answers(self) -> bool:
        try:
            self.ask("/status")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True

    def count(self, type_: str, *, stream: str = "%") -> int:
        """Return how many events of a type are recorded."""
        with psycopg.connect(self.dsn) as connection:
            row = connection.execute(
                "select count(*) from events where topic = %s and originator_id like %s",
                [type_, stream],
            ).fetchone()
        return int(row[0]) if row else 0

    def until_completed(self, plan_id: str, *, seconds: float = 180.0) -> None:
        """Wait until a plan is completed and the views show it."""
        self.until(
            lambda: bool(self.count("plan.completed", stream=plan_id)),
            f"{plan_id} is completed",
            seconds=seconds,
        )
        self.until(self.is_shown, "the views are where the log is")

    def is_shown(self) -> bool:
        """Say whether every follower of the log is at its end."""
        with psycopg.connect(self.dsn) as connection:
            row = connection.execute(
                "select coalesce(min(position), 0) >= (select max(notification_id) from events)"
                " from positions"
            ).fetchone()
        return bool(row and row[0])

    def _surroundings(self) -> dict[str, str]:
        return {
            "TASKLOOM_DB__DSN": self.dsn,
            "TASKLOOM_AMQP__URL": self.amqp_url,
            "TASKLOOM_HTTP__PORT": self.api_url.rpartition(":")[2],
            "TASKLOOM_STATE_DIR": str(self.folder / "state"),
            **QUICK,
            **self.env,
        }

    def _open(
        self, arguments: Sequence[str], log: TextIO, env: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=ROOT,
            env=_unmeasured() | self._surroundings() | dict(env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


@contextmanager
def running(
    folder: Path,
    dsn: str,
    amqp_url: str,
    *,
    core: Sequence[str] = CORE,
    agents: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    amqp_urls: Mapping[str, str] | None = None,
    dsns: Mapping[str, str] | None = None,
) -> Generator[Stack]:
    """Start the core and agents, by id and reference, and wait until the API answers."""
    api_url = f"http://127.0.0.1:{free_port()}"
    token = local_key(folder / "state", dsn)
    stack = Stack(folder, dsn, amqp_url, api_url, token, env or {}, amqp_urls or {}, dsns or {})
    try:
        for name in core:
            stack.start(name, "serve", name)
        for agent_id, reference in (agents or {}).items():
            stack.start(agent_id, "agent", reference, "--id", agent_id)
        if "api" in core:
            stack.until(stack.answers, "the API answers")
        yield stack
    finally:
        stack.end()


def _unmeasured() -> dict[str, str]:
    """Return our environment without what makes coverage start: its counting takes a third more."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def taskloom(*arguments: str, code: int = 0, env: Mapping[str, str], seconds: float = 110) -> str:
    """Run the command to its end, and return what it printed.

    The environment is ours without any setting of Taskloom's, and what is given.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TASKLOOM_")}
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=clean | dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=seconds,
    )
    out, words = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == code, (
        f"taskloom {' '.join(arguments)}: exit {done.returncode}\n{out[-2_000:]}\n{words[-4_000:]}"
    )
    return out


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
