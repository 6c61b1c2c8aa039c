"""A real browser without a window, and pages of somebody who means harm."""

import asyncio
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.debian import install, may_install

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE: Final = 90.0
"""Seconds until a browser is given up: a busy machine starts one in ten."""

_SWITCHES: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    # Nobody but this machine is asked.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--virtual-time-budget=3000",
    "--dump-dom",
)


def can_browse() -> bool:
    """Say whether there is a browser on this machine, or one may be put there."""
    return _found() is not None or may_install()


def browser_program() -> str:
    """Return the browser of this machine, after installing it if it has to be."""
    if (found := _found()) is None:
        install("chromium")
        found = _found()
    assert found is not None, "chromium is installed, and not on PATH"
    return found


def _found() -> str | None:
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@dataclass(frozen=True, slots=True)
class Browser:
    """Opens pages, each in a browser that knows nothing of the others."""

    program: str
    folder: Path

    async def open(self, url: str) -> str:
        """Open a page, let its scripts run, and return what it has become."""
        profile = f"--user-data-dir={self.folder / 'profile'}"
        process = await asyncio.create_subprocess_exec(
            self.program,
            *_SWITCHES,
            profile,
            url,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "HOME": str(self.folder)},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                shown, _ = await process.communicate()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        return shown.decode()
