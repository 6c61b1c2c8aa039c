"""Exports: events as CloudEvents, one JSON object a line, in the order of the log."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from bus.envelope import decode_recorded, encode_recorded
from domain.deciders import EVENTS
from domain.errors import Refused
from domain.policies import Event
from domain.recorded import Recorded

LARGEST_LINE = 64 * 1024 * 1024


class BadExport(Refused):
    """A file is not an export of events."""

    code = "bad-export"


def write(file: Path, events: Iterable[Recorded[Event]]) -> int:
    """Write events to a file, and return how many there were."""
    number = 0
    with file.open("wb") as out:
        for recorded in events:
            out.write(encode_recorded(recorded) + b"\n")
            number += 1
    return number


def read(file: Path) -> Sequence[Recorded[Event]]:
    """Return the events of a file.

    Raises:
        BadExport: A line is not an event.
    """
    registry = cast("dict[str, type[Any]]", EVENTS)
    events: list[Recorded[Event]] = []
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                events.append(decode_recorded(line, registry, max_bytes=LARGEST_LINE))
            except Refused as refusal:
                raise BadExport(f"{file}, line {number}: {refusal}") from refusal
    return events
