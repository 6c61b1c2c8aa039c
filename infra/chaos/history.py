"""What was done and what came of it, written down as it happens, one JSON object a line.

Every fault has a line when it begins and one when it is over; every command has one when it is
invoked and one when it is answered, or when nobody knows.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

FILE = "history.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that happened."""

    at: float
    """Seconds since 1970."""

    what: str
    """``fault``, ``healed``, ``invoke``, ``ok``, ``info``, ``death``, ``planted``, ``phase`` …"""

    name: str
    """Of a fault its id, of a command the plan's key, of a death the process."""

    said: dict[str, Any] = field(default_factory=dict[str, Any])


class History:
    """Writes lines; nothing that was written is lost with this process."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._file = -1

    def __enter__(self) -> Self:
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)
        self._file = -1

    def write(self, what: str, name: str, **said: object) -> Line:
        """Write one line, at this moment."""
        line = Line(at=time.time(), what=what, name=name, said=said)
        raw = {"at": line.at, "what": what, "name": name, **said}
        os.write(self._file, orjson.dumps(raw, default=str, option=orjson.OPT_APPEND_NEWLINE))
        return line


def read(path: Path) -> Iterator[Line]:
    """Give every line of a history; a last one that was never finished is passed over."""
    if not path.exists():
        return
    for raw in path.read_bytes().splitlines():
        try:
            said: dict[str, Any] = orjson.loads(raw)
        except orjson.JSONDecodeError:
            continue
        yield Line(at=said.pop("at"), what=said.pop("what"), name=said.pop("name"), said=said)
