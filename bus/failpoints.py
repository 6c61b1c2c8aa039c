"""Named places where a process can be made to die, to stand still or to fail, for proof's sake.

The loops of the protocol pass them by name. Nothing happens there unless a composition root has
armed them, which it does only where the settings allow chaos.

    relay.after_read=kill           dies there the first time
    inbox.before_ack=kill@3         dies there the third time
    view.before_commit=pause:1.5%0.1   stands still for 1.5 s, one time in ten
    inbox.hear=kill~t42             dies whenever it meets what contains t42
    seed=7;a=raise%0.5;b=kill       several, and what draws the lots
    @FILE                           whatever a file says, read again when it changes
"""

import os
import random
import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

import orjson

from domain.errors import Refused, Unavailable

Mode = Literal["kill", "pause", "raise"]
Watch = Callable[[str, tuple[object, ...]], None]
"""Is told the name of each place that is passed, and what it was passed with."""

_watch: Watch | None = None

_FORM: Final = re.compile(
    r"(?P<mode>kill|pause|raise)(?::(?P<seconds>[\d.]+))?"
    r"(?:@(?P<nth>\d+)|%(?P<chance>[\d.]+))?(?:~(?P<text>.+))?"
)

_EVERY: Final = 0.02
"""Seconds between two looks at whether the file has changed."""


class UnreadableFailpoint(Refused):
    """A failpoint is written in no form that is known."""

    code = "unreadable-failpoint"


class Tripped(Unavailable):
    """A failpoint was told to fail here."""

    code = "tripped"


def reach(name: str, *about: object) -> None:
    """Pass a place; ``about`` is what it concerns, looked at only where somebody watches."""
    if _watch is not None:
        _watch(name, about)


def watch(watcher: Watch | None) -> None:
    """Have every place that is passed told to somebody, or to nobody any more."""
    global _watch  # noqa: PLW0603, RUF100 # one check is all that a place may cost
    _watch = watcher


@dataclass(slots=True, kw_only=True)
class Failpoint:
    """What happens at one place, and when."""

    mode: Mode
    seconds: float
    nth: int | None
    chance: float
    text: str
    passed: int = 0
    """How often the place was passed by what the condition is about."""

    def is_due(self, about: tuple[object, ...], lots: random.Random) -> bool:
        """Count one passage, and say whether it is the one."""
        if self.text and not any(self.text in _text(one) for one in about):
            return False
        self.passed += 1
        if self.nth is not None:
            return self.passed == self.nth
        return lots.random() < self.chance


class Failpoints:
    """The places that are armed in this process."""

    def __init__(self, armed: str, *, log: Path | None = None, process: str = "") -> None:
        """Read what is armed; each hit is written to the log before it has its effect.

        Raises:
            UnreadableFailpoint: It cannot be read.
        """
        self._log = log
        self._process = process
        self._file = Path(armed[1:]) if armed.startswith("@") else None
        self._changed = 0
        self._look_again = 0.0
        self._points: Mapping[str, Failpoint] = {}
        self._lots = random.Random()  # noqa: S311 # chance that can be repeated
        if self._file is None:
            self._arm(armed)

    def __call__(self, name: str, about: tuple[object, ...]) -> None:
        """Do what is due at a place."""
        if self._file is not None and time.monotonic() >= self._look_again:
            self._look_into(self._file)
        point = self._points.get(name)
        if point is None or not point.is_due(about, self._lots):
            return
        self._write_down(name, point)
        match point.mode:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "pause":
                time.sleep(point.seconds)  # all of the process stands still, as in a swap storm
            case "raise":
                raise Tripped(f"failpoint {name}")

    def _arm(self, armed: str) -> None:
        self._points, seed = parse(armed)
        self._lots.seed(seed)

    def _look_into(self, file: Path) -> None:
        self._look_again = time.monotonic() + _EVERY
        try:
            changed = file.stat().st_mtime_ns
            if changed != self._changed:
                self._changed = changed
                self._arm(file.read_text())
        except FileNotFoundError:
            self._points = {}

    def _write_down(self, name: str, point: Failpoint) -> None:
        if self._log is None:
            return
        hit = {
            "point": name,
            "mode": point.mode,
            "passed": point.passed,
            "process": self._process,
            "pid": os.getpid(),
            "at": time.time(),
        }
        file = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, orjson.dumps(hit, option=orjson.OPT_APPEND_NEWLINE))
            os.fsync(file)
        finally:
            os.close(file)


def parse(armed: str) -> tuple[Mapping[str, Failpoint], str]:
    """Return the failpoints of a setting by their places, and the seed of its chances.

    Raises:
        UnreadableFailpoint: It cannot be read.
    """
    points: dict[str, Failpoint] = {}
    seed = ""
    for part in filter(None, (part.strip() for part in armed.split(";"))):
        name, _, what = part.partition("=")
        if name == "seed":
            seed = what
            continue
        found = _FORM.fullmatch(what)
        if found is None or not name:
            raise UnreadableFailpoint(f"{part} is not NAME=kill|pause|raise[:S][@N|%P][~TEXT]")
        nth, chance, text = found["nth"], found["chance"], found["text"] or ""
        always = bool(chance or text)
        points[name] = Failpoint(
            mode=cast("Mode", found["mode"]),
            seconds=float(found["seconds"] or 1),
            nth=int(nth) if nth else None if always else 1,
            chance=float(chance) if chance else 1.0,
            text=text,
        )
    return points, seed


def _text(about: object) -> str:
    return about.decode(errors="replace") if isinstance(about, bytes) else str(about)
