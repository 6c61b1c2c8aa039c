"""What the doctor finds."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    what: str
    found: str
    advice: str = ""
    """What to do, where it is not well."""


def ok(what: str, found: str) -> Finding:
    """Return that something is well."""
    return Finding(level="ok", what=what, found=found)


def warn(what: str, found: str, advice: str) -> Finding:
    """Return that something may become a trouble."""
    return Finding(level="warn", what=what, found=found, advice=advice)


def fail(what: str, found: str, advice: str) -> Finding:
    """Return that something has to be repaired."""
    return Finding(level="fail", what=what, found=found, advice=advice)
