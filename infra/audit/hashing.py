"""What is hashed, byte by byte: an event as it is stored, and a seal over many of them.

Numbers are big-endian, and a length goes before everything that has no fixed one: two different
events are never the same bytes. The migration ``0012_seals`` says the same to PostgreSQL, which
seals; here it is said once more, independently, to those who verify.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

NOTHING: Final = bytes(32)
"""What the first seal follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """An event, as it is stored."""

    position: int
    stream: str
    version: int
    type: str
    state: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What a stretch of the log was when it was sealed."""

    number: int
    first: int
    last: int
    count: int
    positions: bytes | None
    """Eight bytes each; None where they follow one another without a gap."""

    hashes: bytes
    previous: bytes
    hash: bytes
    sealed_at: datetime

    @property
    def is_whole(self) -> bool:
        """Whether its lengths agree with one another."""
        is_full = len(self.hashes) == 32 * self.count and self.count > 0
        if self.positions is None:
            return is_full and self.last - self.first + 1 == self.count
        return is_full and len(self.positions) == 8 * self.count

    def each(self) -> Sequence[tuple[int, bytes]]:
        """Return the position and the hash of every event that it seals."""
        if self.positions is None:
            places: Sequence[int] = range(self.first, self.last + 1)
        else:
            places = struct.unpack(f">{self.count}q", self.positions)
        hashes = [self.hashes[start : start + 32] for start in range(0, len(self.hashes), 32)]
        return list(zip(places, hashes, strict=True))


def event_hash(row: StoredRow) -> bytes:
    """Return the hash of an event at its place."""
    stream, type_ = row.stream.encode(), row.type.encode()
    return hashlib.sha256(
        b"".join(
            (
                struct.pack(">qqi", row.position, row.version, len(stream)),
                stream,
                struct.pack(">i", len(type_)),
                type_,
                row.state,
            )
        )
    ).digest()


def seal_hash(seal: Seal) -> bytes:
    """Return the hash that a seal has to have."""
    positions = seal.positions or b""
    head = struct.pack(
        ">qqqqqi",
        seal.number,
        seal.first,
        seal.last,
        seal.count,
        int(seal.sealed_at.timestamp()),
        len(positions),
    )
    return hashlib.sha256(head + positions + seal.hashes + seal.previous).digest()
