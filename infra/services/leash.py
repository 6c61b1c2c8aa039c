"""Child processes that do not outlive us, and the account they run as."""

import ctypes
import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
# Loaded before any fork: between fork and exec a child must do as little as possible.
_LIBC: ctypes.CDLL | None = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a server runs as when we are root and it refuses to be."""

    name: str
    uid: int
    gid: int


def unprivileged_account(*names: str) -> Account | None:
    """Find the first of these accounts, or ``None`` when we are not root ourselves."""
    if os.geteuid() != 0:
        return None
    for name in (*names, "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    return None


def can_enter(path: Path, account: Account | None) -> bool:
    """Say whether an account may reach a path through every folder above it."""
    if account is None:
        return True
    for folder in path.resolve().parents:
        mode = folder.stat()
        if mode.st_uid == account.uid:
            needed = stat.S_IXUSR
        elif mode.st_gid == account.gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not mode.st_mode & needed:
            return False
    return True


def die_with_parent(by: signal.Signals) -> Callable[[], None]:
    """Return what a child calls before exec so that our death, even by SIGKILL, ends it.

    Linux only; elsewhere an orphan is found and replaced at the next start. The kernel watches the
    thread that forks, so call the launch from one that lives as long as the server should.
    """
    parent = os.getpid()

    def arrange() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(by), 0, 0, 0)
        if os.getppid() != parent:  # we died between fork and prctl
            os._exit(1)

    return arrange


def name_process(name: str) -> None:
    """Give this process the name that ``ps`` and ``top`` show; Linux keeps 15 bytes of it."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def launch(
    command: Sequence[str | Path],
    *,
    log: Path,
    account: Account | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    death: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, writing to a log and ending with us."""
    with log.open("ab") as out:
        return subprocess.Popen(  # noqa: S603 - the commands are ours, found by absolute path
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=die_with_parent(death),
        )


def end(process: subprocess.Popen[bytes], *steps: tuple[signal.Signals, float]) -> int:
    """Send each signal in turn, waiting its seconds for the process to end; then kill it."""
    for by, patience in steps:
        if process.poll() is not None:
            break
        process.send_signal(by)
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    if process.poll() is None:
        process.kill()
    return process.wait()


def has_ended(process: psutil.Process) -> bool:
    """Say whether a process runs no longer, even if nobody has asked how it ended."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def tell(processes: Iterable[psutil.Process], by: signal.Signals) -> None:
    """Send a signal to those that still run."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(by)


def rotate(log: Path) -> None:
    """Keep the log of the start before this one as ``<name>.1`` and begin a new one."""
    if log.exists():
        log.replace(log.with_name(log.name + ".1"))


def tail(log: Path, lines: int = 8) -> str:
    """Return the last lines of a log, for an error message."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll a condition until it holds or the seconds have passed; blocking."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
