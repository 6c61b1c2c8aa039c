"""Signed checkpoints in a file outside of the database: one line of JSON each.

Whoever may write to the database can rewrite the log and all of its seals. A checkpoint says what
the last seal was at a time, with a signature, and names the line before it; keep the file where
whoever has the database cannot reach it.
"""

import hashlib
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from infra.audit.keys import Signer, Witness, signer_of

_LONGEST: Final = 4_096
"""Bytes of a line; ours have a tenth of it."""

_Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Checkpoint(BaseModel):
    """What was said of the log at a time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seal: Annotated[int, Field(ge=1)]
    position: Annotated[int, Field(ge=1)]
    """The last position that is sealed."""

    events: Annotated[int, Field(ge=1)]
    """How many events are sealed in all."""

    hash: _Hash
    """The hash of the seal."""

    at: AwareDatetime
    previous: _Hash | None
    """The hash of the line before, none in the first."""

    key: str
    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]

    def said(self) -> bytes:
        """Return the bytes that are signed."""
        return orjson.dumps(
            self.model_dump(mode="json", exclude={"signature"}), option=orjson.OPT_SORT_KEYS
        )

    def is_signed_by(self, witness: Witness) -> bool:
        """Tell whether the owner of a key has said it."""
        return witness.is_right(bytes.fromhex(self.signature), self.said())


class CheckpointFile:
    """The file, as the one who seals appends to it."""

    def __init__(self, file: Path, key_file: Path) -> None:
        """Take where it is and the key that signs; neither is touched before it is needed."""
        self._file = file
        self._key_file = key_file
        self._signer: Signer | None = None

    def last(self) -> Checkpoint | None:
        """Return the last checkpoint, if there is one."""
        lines = self._lines()
        return None if not lines else _parsed(lines[-1])

    def append(
        self, *, seal: int, position: int, events: int, hash_: bytes, at: datetime
    ) -> Checkpoint:
        """Sign a checkpoint and append it; when it returns, the disk has it.

        Raises:
            OSError: The file cannot be written.
            KeyUnusable: There is no key to sign with.
        """
        signer = self._signer = self._signer or signer_of(self._key_file)
        lines = self._lines()
        unsigned = Checkpoint(
            seal=seal,
            position=position,
            events=events,
            hash=hash_.hex(),
            at=at,
            previous=hashlib.sha256(lines[-1]).hexdigest() if lines else None,
            key=signer.key_id,
            signature="0" * 128,
        )
        signature = signer.sign(unsigned.said()).hex()
        signed = unsigned.model_copy(update={"signature": signature})
        self._file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        with os.fdopen(descriptor, "ab") as out:
            out.write(signed.model_dump_json().encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
        return signed

    def _lines(self) -> list[bytes]:
        """Return the last whole line, after cutting off what a crash has left behind it."""
        try:
            with self._file.open("r+b") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - 2 * _LONGEST))
                end = file.read()
                if end and not end.endswith(b"\n"):
                    whole = end.rpartition(b"\n")[0]
                    file.truncate(size - len(end) + (len(whole) + 1 if whole else 0))
                    end = whole + b"\n" if whole else b""
        except FileNotFoundError:
            return []
        return end.splitlines()[-1:]


def read(file: Path) -> Iterator[tuple[int, bytes, Checkpoint | None]]:
    """Give each line of a file with its number; None stands for what is no checkpoint."""
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            text = line.rstrip(b"\n")
            found = _parsed(text)
            # A crash may cut off the last line while it is written: it was never said.
            if found is None and not line.endswith(b"\n"):
                return
            yield number, text, found


def _parsed(line: bytes) -> Checkpoint | None:
    try:
        return Checkpoint.model_validate_json(line)
    except ValidationError:
        return None
