"""Compares the log with its seals, event by event, and names every place that differs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from infra.audit.hashing import NOTHING, Seal, StoredRow, event_hash, seal_hash
from infra.audit.places import BadPlace, Finding, Sealed
from infra.audit.statements import Statements

SHOWN: Final = 20
"""Places that are told one by one."""

_BEFORE_ALL: Final = -(2**63)

_COMPARED: Final = 200
"""Changed events among which is looked for those that only stand elsewhere."""

Progress = Callable[[int, int], None]
"""Is told the position that was reached, and how many events were read."""


def silent(position: int, read: int) -> None:
    """Tell nobody."""
    del position, read


class Source(Protocol):
    """Where the log and its seals are read from."""

    def seals(self) -> Iterator[Seal]:
        """Give every seal in the order of their numbers."""
        ...

    def rows(self, *, after: int, upto: int) -> Iterable[StoredRow]:
        """Return the events after a position, up to another one, in their order."""
        ...

    def count_after(self, position: int) -> int:
        """Return how many events come after a position."""
        ...

    def holes(self) -> Iterable[tuple[str, int]]:
        """Give streams that lack a version, with that version: an event was there once."""
        ...


@dataclass(slots=True)
class _Found:
    count: int = 0
    first: list[BadPlace] = field(default_factory=list[BadPlace])
    changed: list[tuple[StoredRow, bytes]] = field(default_factory=list[tuple[StoredRow, bytes]])
    """Events that are not as they were, with the hash that is sealed for their position."""

    def add(self, place: BadPlace) -> None:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(place)


def verify(
    source: Source,
    *,
    statements: Statements | None = None,
    progress: Progress = silent,
) -> Finding:
    """Read the whole log, and return how far it is sealed and where it is not what it was."""
    found, statements = _Found(), statements or Statements()
    number, position, read, hash_ = 0, _BEFORE_ALL, 0, NOTHING
    for seal in source.seals():
        for place in _judge(seal, number=number, position=position, hash_=hash_):
            found.add(place)
        if seal.is_whole and seal.last > position:
            _compare(source, seal, position, found)
            position = seal.last
        for place in statements.hear(seal):
            found.add(place)
        number, hash_ = seal.number, seal.hash
        read += seal.count
        progress(position, read)
    for place in statements.rest():
        found.add(place)
    unsealed = source.count_after(position)
    return Finding(
        sealed=Sealed(seals=number, events=read, position=max(position, 0), unsealed=unsealed),
        bad=_explained(found, source),
        count=found.count,
        checkpoints=statements.agreeing,
    )


def _judge(seal: Seal, *, number: int, position: int, hash_: bytes) -> Iterator[BadPlace]:
    """Say what is wrong with a seal, given the one before it."""
    if seal.number != number + 1:
        gone = f"seal {number + 1}" if seal.number == number + 2 else f"seals {number + 1} and on"
        yield _rewritten(seal, f"{gone}, before it, is gone")
    elif seal.previous != hash_:
        yield _rewritten(
            seal,
            f"it follows another seal {number} than the one that is there"
            if number
            else "it follows a seal, and is the first",
        )
    if not seal.is_whole or seal_hash(seal) != seal.hash:
        yield _rewritten(seal, "its content does not come to its hash")
    elif seal.first <= position:
        yield _rewritten(seal, f"it begins before position {position}, where another one ends")


def _rewritten(seal: Seal, why: str) -> BadPlace:
    return BadPlace(what="seal rewritten", why=why, seal=seal.number, position=seal.first)


def _compare(source: Source, seal: Seal, after: int, found: _Found) -> None:
    """Compare the events of a stretch with its seal."""
    sealed = dict(seal.each())
    for row in source.rows(after=after, upto=seal.last):
        expected = sealed.pop(row.position, None)
        if expected is None:
            found.add(_place("inserted", row, seal, "it is not sealed, and those after it are"))
        elif event_hash(row) != expected:
            if len(found.changed) < _COMPARED:
                found.changed.append((row, expected))
            found.add(_place("changed", row, seal, "it is not what was sealed"))
    for position in sealed:
        found.add(
            BadPlace(what="missing", why="it was sealed", position=position, seal=seal.number)
        )


def _place(what: str, row: StoredRow, seal: Seal, why: str) -> BadPlace:
    return BadPlace(
        what="inserted" if what == "inserted" else "changed",
        why=why,
        position=row.position,
        stream=row.stream,
        version=row.version,
        seal=seal.number,
    )


def _explained(found: _Found, source: Source) -> list[BadPlace]:
    """Return the first places in order, with what the others say of them."""
    elsewhere = dict(_moved(found.changed))
    missing = sum(place.what == "missing" for place in found.first)
    holes = list(source.holes()) if missing else []
    told: list[BadPlace] = []
    for place in found.first:
        if place.what == "changed" and place.position in elsewhere:
            was = elsewhere[place.position]
            told.append(replace(place, what="reordered", why=f"it stood at position {was}"))
        elif place.what == "missing" and missing == 1 and len(holes) == 1:
            told.append(replace(place, stream=holes[0][0], version=holes[0][1]))
        elif place.what == "missing" and holes:
            names = ", ".join(f"{version} of {stream}" for stream, version in holes[:3])
            told.append(replace(place, why=f"it was sealed; gone are {names}"))
        else:
            told.append(place)
    return sorted(told, key=lambda place: (place.position or 0, place.seal or 0))


def _moved(changed: list[tuple[StoredRow, bytes]]) -> Iterator[tuple[int, int]]:
    """Give the position of events that stand elsewhere than they did, and where they stood."""
    for row, _ in changed:
        for other, expected in changed:
            if other is not row and event_hash(replace(row, position=other.position)) == expected:
                yield row.position, other.position
