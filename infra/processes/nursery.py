"""A process that has imported everything once, and forks: a program starts in 20 ms, not in 900.

The stack is more than a dozen processes of the same code. Each started as an interpreter of its
own costs most of a second of a core, which is longer than all the demo's work takes. The nursery
has one thread and no loop, so that forking it is safe; each child is a process of its own, with a
session, a log and an end of its own, as one that was started anew would be.

It listens on a socket for requests, one JSON object a line, and says which child has the number of
which request, and later how it ended.
"""

import asyncio
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from runpy import run_module
from types import FrameType
from typing import Any, Self

from infra.services.leash import die_with_parent, name_process

_GOODBYE = 2.0

MODULE = "infra.cli"
COMMAND = (sys.executable, "-m", MODULE)
"""What a command has to begin with to be started here."""

_PRELOADED = (
    "infra.cli.main",
    "infra.logging",
    "infra.settings",
    "infra.processes.broker",
    "infra.processes.coordinator",
    "infra.processes.projector",
    "infra.processes.api",
    "agents.kit.application",
    "agents.kit.loading",
    "agents.planners.meta_planner",
    "agents.workers.cad",
    "agents.workers.sim",
    "uvloop",
)


class NurseryGone(Exception):
    """The nursery has ended, and its children with it."""


class Forked:
    """A child of the nursery, seen from outside."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        """Return the exit code when the child has ended; negative is the signal that did it."""
        await self._ended.wait()
        return self.returncode or 0

    def end(self, code: int) -> None:
        """Note how the child has ended."""
        self.returncode = code
        self._ended.set()


class Nursery:
    """The nursery, seen from the process that starts it and that it does not outlive."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._asked: dict[int, asyncio.Future[Forked]] = {}
        self._children: dict[int, Forked] = {}
        self._number = 0

    async def __aenter__(self) -> Self:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _open(theirs)
        reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        self._listening = asyncio.create_task(self._listen(reader), name="nursery")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait({self._listening})
        if self._writer is not None:
            self._writer.close()  # which it takes as a goodbye
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, _GOODBYE)
            self._process.kill()
            self._process.wait()

    def starts(self, command: Sequence[str]) -> bool:
        """Say whether a command can be started here."""
        is_well = self._listening is not None and not self._listening.done()
        return is_well and tuple(command[: len(COMMAND)]) == COMMAND

    async def start(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str], log: Path
    ) -> Forked:
        """Start a command as a child of the nursery.

        Raises:
            NurseryGone: It has ended.
        """
        if self._writer is None or not self.starts(command):
            raise NurseryGone
        self._number += 1
        answer: asyncio.Future[Forked] = asyncio.get_running_loop().create_future()
        self._asked[self._number] = answer
        request = {
            "number": self._number,
            "name": name,
            "arguments": list(command[len(COMMAND) :]),
            "env": dict(env),
            "log": str(log),
        }
        self._writer.write(json.dumps(request).encode() + b"\n")
        return await answer

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                told: dict[str, int] = json.loads(line)
                if "number" in told:
                    child = self._children[told["pid"]] = Forked(told["pid"])
                    answer = self._asked.pop(told["number"])
                    if not answer.done():
                        answer.set_result(child)
                elif told["pid"] in self._children:
                    self._children.pop(told["pid"]).end(told["code"])
        finally:
            # Its children die with it; who starts them again does so without it.
            for child in self._children.values():
                child.end(-signal.SIGKILL)
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_exception(NurseryGone())


def _open(requests: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own command, no shell
        [sys.executable, "-m", "infra.processes.nursery", str(requests.fileno())],
        pass_fds=[requests.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us
        preexec_fn=die_with_parent(signal.SIGKILL),
    )


def _serve(requests: socket.socket) -> Sequence[str] | None:
    """Fork on request until the other side is gone; return arguments in each child, None at last.

    A child returns instead of ending here, so that it ends as every interpreter does.
    """
    wake, woken = socket.socketpair()
    for one in (wake, woken):
        one.settimeout(0)
    signal.signal(signal.SIGCHLD, _hear)
    signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    arrange = die_with_parent(signal.SIGKILL)
    selector = selectors.DefaultSelector()
    selector.register(requests, selectors.EVENT_READ)
    selector.register(wake, selectors.EVENT_READ)
    received: bytes = b""
    while True:
        for key, _ in selector.select():
            if key.fileobj is wake:
                with suppress(BlockingIOError):
                    wake.recv(4096)
                _reap(requests)
                continue
            try:
                arrived: bytes = requests.recv(65_536)
            except ConnectionResetError:  # it is gone, and has not read all that we said
                return None
            if not arrived:
                return None
            *lines, received = (received + arrived).split(b"\n")
            for line in lines:
                request: dict[str, Any] = json.loads(line)
                pid = os.fork()
                if pid == 0:
                    selector.close()
                    signal.set_wakeup_fd(-1)
                    for one in (requests, wake, woken):
                        one.close()
                    arrange()
                    return _become(request)
                _tell(requests, number=request["number"], pid=pid)


def _hear(number: int, frame: FrameType | None) -> None:
    """Only wake the loop; without a handler the signal would be ignored."""


def _become(request: Mapping[str, Any]) -> Sequence[str]:
    """Make this process what a start of its own would have made it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    out = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(out, number)
    os.close(out)
    os.environ.update(request["env"])
    name_process(request["name"])
    arguments: Sequence[str] = request["arguments"]
    return arguments


def _reap(requests: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _tell(requests, pid=pid, code=os.waitstatus_to_exitcode(status))


def _tell(requests: socket.socket, **what: int) -> None:
    with suppress(OSError):
        requests.sendall(json.dumps(what).encode() + b"\n")


def main() -> None:
    """Be the nursery, and then, in each child, the command."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    for module in _PRELOADED:
        with suppress(ImportError):  # the child that needs it says so in its log
            import_module(module)
    gc.collect()
    gc.freeze()  # what is shared stays shared
    arguments = _serve(requests)
    if arguments is None:
        return
    sys.argv = [MODULE, *arguments]
    run_module(MODULE, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
