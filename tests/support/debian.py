"""What a run that must leave nothing out installs itself, where it may: root, on Debian."""

import fcntl
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support.ground import requires_real


def may_install() -> bool:
    """Say whether packages that are missing may be installed."""
    return requires_real() and os.geteuid() == 0 and Path("/etc/debian_version").exists()


def install(package: str) -> None:
    """Install a package, or fail with what apt-get says."""
    # RUNLEVEL: a package may start a server of its own, which nobody here asked for.
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    # The tests run in two processes, and apt-get in one.
    with (Path(tempfile.gettempdir()) / "taskloom-test-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for words in ("update", f"install -y --no-install-recommends {package}"):
            command = ["apt-get", *words.split()]
            done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True)
            if done.returncode:
                pytest.fail(f"{' '.join(command)} failed:\n{done.stderr.decode()}", pytrace=False)
