"""A dossier: the log as it is stored, with its seals, in a file that can be verified by itself."""

import base64
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from domain.errors import Refused
from infra.audit.hashing import Seal, StoredRow
from infra.audit.verifying import Progress, Source, silent

_BYTES: Final = ("positions", "hashes", "previous", "hash")


class BadDossier(Refused):
    """A file is not a dossier."""

    code = "bad-dossier"


def write(file: Path, source: Source, *, progress: Progress = silent) -> int:
    """Write every seal and the events that it seals, a line each; return how many events."""
    read, position = 0, -(2**63)
    with file.open("wb") as out:
        for seal in source.seals():
            out.write(_line("seal", _of_seal(seal)))
            for row in source.rows(after=position, upto=seal.last):
                out.write(_line("event", _of_row(row)))
                read += 1
            position = max(position, seal.last)
            progress(position, read)
    return read


class DossierSource:
    """A dossier, as who verifies it reads it: once, from its beginning to its end."""

    def __init__(self, file: Path) -> None:
        """Take a file.

        Raises:
            BadDossier: A line, when it is read, is neither a seal nor an event.
        """
        self._file = file
        self._rows: list[StoredRow] = []

    def seals(self) -> Iterator[Seal]:
        """Give every seal in the order of the file, each with its events at hand."""
        seal: Seal | None = None
        for one in self._parts():
            if isinstance(one, StoredRow):
                self._rows.append(one)
                continue
            if seal is not None:
                yield seal
            seal = one
        if seal is not None:
            yield seal

    def rows(self, *, after: int, upto: int) -> Iterable[StoredRow]:
        """Return the events after a position, up to another one, in their order."""
        found = [row for row in self._rows if after < row.position <= upto]
        self._rows = [row for row in self._rows if row.position > upto]
        return sorted(found, key=lambda row: row.position)

    def count_after(self, position: int) -> int:
        """Return how many events come after a position."""
        return sum(row.position > position for row in self._rows)

    def holes(self) -> Iterable[tuple[str, int]]:
        """Give no streams: that takes the whole log at once."""
        return ()

    def _parts(self) -> Iterator[Seal | StoredRow]:
        with self._file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    yield _part(orjson.loads(line))
                except (ValueError, KeyError, TypeError) as error:
                    why = "it is neither a seal nor an event"
                    raise BadDossier(f"{self._file}, line {number}: {why}") from error


def _line(kind: str, values: dict[str, Any]) -> bytes:
    return orjson.dumps({kind: values}) + b"\n"


def _of_seal(seal: Seal) -> dict[str, Any]:
    return {
        "number": seal.number,
        "first": seal.first,
        "last": seal.last,
        "count": seal.count,
        "sealed_at": seal.sealed_at.isoformat(),
        "positions": None if seal.positions is None else seal.positions.hex(),
        "hashes": seal.hashes.hex(),
        "previous": seal.previous.hex(),
        "hash": seal.hash.hex(),
    }


def _of_row(row: StoredRow) -> dict[str, Any]:
    values: dict[str, Any] = {
        "position": row.position,
        "stream": row.stream,
        "version": row.version,
        "type": row.type,
    }
    try:
        return {**values, "state": row.state.decode()}
    except UnicodeDecodeError:
        return {**values, "base64": base64.b64encode(row.state).decode()}


def _part(line: Any) -> Seal | StoredRow:
    if "seal" in line:
        values = line["seal"]
        raw = {name: bytes.fromhex(values[name]) for name in _BYTES if values[name] is not None}
        return Seal(
            number=int(values["number"]),
            first=int(values["first"]),
            last=int(values["last"]),
            count=int(values["count"]),
            positions=raw.get("positions"),
            hashes=raw["hashes"],
            previous=raw["previous"],
            hash=raw["hash"],
            sealed_at=datetime.fromisoformat(values["sealed_at"]),
        )
    values = line["event"]
    in_text = "state" in values
    state = values["state"].encode() if in_text else base64.b64decode(values["base64"])
    return StoredRow(
        position=int(values["position"]),
        stream=str(values["stream"]),
        version=int(values["version"]),
        type=str(values["type"]),
        state=state,
    )
