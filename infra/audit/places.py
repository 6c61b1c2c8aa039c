"""Where the log is not what it was when it was sealed, and in which way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

What = Literal["changed", "missing", "inserted", "reordered", "seal rewritten", "checkpoint"]
"""What is wrong.

``changed``         an event is not as it was
``missing``         an event is gone
``inserted``        an event was not there
``reordered``       an event that was there stands at another place
``seal rewritten``  a seal is not as it was, or gone
``checkpoint``      a checkpoint says something else than the seals, or nobody signed it
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadPlace:
    """One place where something is wrong."""

    what: What
    why: str
    position: int | None = None
    stream: str | None = None
    """Whose event it is, where that can still be told."""

    version: int | None = None
    seal: int | None = None

    def __str__(self) -> str:
        where = [] if self.position is None else [f"position {self.position}"]
        if self.stream is not None:
            where.append(f"event {self.version} of {self.stream}")
        if self.seal is not None:
            where.append(f"seal {self.seal}")
        return f"{self.what}: {', '.join(where)}: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """How far the log is sealed."""

    seals: int
    events: int
    position: int
    unsealed: int
    """How many events come after the last seal: nothing is known of them yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What verifying has come to."""

    sealed: Sealed
    bad: Sequence[BadPlace]
    """The first places in the order of the log; the rest are only counted."""

    count: int
    """How many there are."""

    checkpoints: int
    """How many checkpoints agree with the seals."""

    @property
    def is_right(self) -> bool:
        """Whether the log is what it was."""
        return self.count == 0
