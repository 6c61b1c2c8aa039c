"""Dead letters once they are kept: where each one stands, what happened to it, what may be done.

kept ──► redriving ──► redriven ──► accepted
▲ │         │             │
│ └─► discarded           │        each may be sent again, but what was accepted
└───────────┴─────────────┘        it died again, or no queue took it
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal, Protocol

from pydantic import Field, JsonValue, StringConstraints

from bus.dead_letters import PROOFS, REDRIVE
from bus.messages import Message
from bus.senders import USER
from bus.topology import REPORTS, WORK
from domain.errors import Conflict, NotFound, Refused
from domain.values import Instant, Value

Status = Literal["kept", "redriving", "redriven", "accepted", "discarded"]
Shown = Literal[Status, "open", "all"]
"""Which letters are meant: ``open`` are those that wait for a decision or are under way."""

STATUSES: Final[Mapping[Shown, tuple[Status, ...]]] = {
    "kept": ("kept",),
    "redriving": ("redriving",),
    "redriven": ("redriven",),
    "accepted": ("accepted",),
    "discarded": ("discarded",),
    "open": ("kept", "redriving"),
    "all": ("kept", "redriving", "redriven", "accepted", "discarded"),
}
DECIDED_AT_ONCE: Final = 1_000
"""Letters that may be named one by one in one request."""

LARGEST_EDIT: Final = 1024 * 1024
"""Bytes of an edited body: as many as a report may have."""

SENT_AGAIN: Final = (REPORTS, WORK)
"""Exchanges that letters are sent to again.

What died on its way from ``taskloom.events`` belongs to one subscriber, but all of them would hear
it once more: who missed an event reads it in the log.
"""

LetterId = Annotated[int, Field(ge=1, lt=2**63)]
Words = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")]
"""What a person says about a decision."""

_Given = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]


class UnknownDeadLetter(NotFound):
    """No dead letter has this number."""

    code = "unknown-dead-letter"

    def __init__(self, number: int) -> None:
        super().__init__(f"there is no dead letter {number}")


class UnknownRedrive(NotFound):
    """No redrive has this number."""

    code = "unknown-redrive"

    def __init__(self, number: int) -> None:
        super().__init__(f"there is no redrive {number}")


class NoSuchLetters(NotFound):
    """No letter that may be sent again is as it was asked for."""

    code = "no-such-letters"

    def __init__(self) -> None:
        super().__init__("no letter that may be sent again is as you ask for; see `dlq list`")


class LetterDecided(Conflict):
    """What was asked cannot be done to a letter that stands where this one does."""

    code = "dead-letter-decided"

    def __init__(self, number: int, status: str, what: str) -> None:
        super().__init__(f"dead letter {number} is {status}; it cannot be {what}")


class LetterMoved(Conflict):
    """Somebody else has edited the letter meanwhile."""

    code = "dead-letter-edited"

    def __init__(self, number: int) -> None:
        super().__init__(f"dead letter {number} was edited by somebody else; look at it again")


class CannotBeSentAgain(Refused):
    """A letter came from where nothing is sent to again."""

    code = "not-redrivable"

    def __init__(self, number: int, exchange: str) -> None:
        super().__init__(
            f"dead letter {number} was on its way from {exchange or 'nowhere we know'};"
            f" letters are sent again to {' and '.join(SENT_AGAIN)} only"
        )


class Chosen(Value):
    """Which letters are meant: those that are all of this."""

    ids: Annotated[tuple[LetterId, ...], Field(max_length=DECIDED_AT_ONCE)] = ()
    reason: _Given | None = None
    queue: _Given | None = None
    type: _Given | None = None
    group: _Given | None = None
    """The name of their group."""

    status: Shown | None = None
    """None means what makes sense for the question."""

    since: Instant | None = None
    """They died, the last time, at this moment or later."""


class Edit(Value):
    """What is to be changed about a letter."""

    body: Annotated[bytes, Field(max_length=LARGEST_EDIT)] | None = None
    message_id: _Given | None = None
    routing_key: _Given | None = None
    content_type: _Given | None = None
    edits: Annotated[int, Field(ge=0)] | None = None
    """How often it had been edited when it was read; None overwrites what others did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterLine:
    """A letter without its body, as a list shows it."""

    id: int
    status: Status
    reason: str
    detail: str
    type: str
    exchange: str
    routing_key: str
    queue: str
    message_id: str
    cause: str
    """The name of its group."""

    first_died_at: datetime
    died_at: datetime
    deaths: int
    redrives: int
    edits: int
    size: int
    """The bytes of the body that would be sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLetter:
    """A dead letter as it is kept."""

    id: int
    message_id: str
    reason: str
    detail: str
    exchange: str
    routing_key: str
    queue: str
    headers: Mapping[str, JsonValue]
    properties: Mapping[str, object]
    body: bytes
    """As it came, for ever."""

    died_at: datetime
    fingerprint: str
    type: str
    shape: str
    cause: str
    status: Status
    first_died_at: datetime
    deaths: int
    redrives: int
    edits: int
    edited_body: bytes | None
    edited: Mapping[str, str]
    """What else was edited, by its name."""

    redrive: int | None
    """The redrive that has sent it last."""

    @property
    def content(self) -> bytes:
        """The body that would be sent."""
        return self.body if self.edited_body is None else self.edited_body

    def message(self) -> Message:
        """Return what is sent: the message as it was, under its own id, where it was going.

        Who knows the id recognises a repeat, however often it is sent.
        """
        content_type = self.properties.get("content_type")
        encoding = self.properties.get("content_encoding")
        edited = self.edited
        return Message(
            exchange=self.exchange,
            key=_short(edited.get("routing_key", self.routing_key)),
            body=self.content,
            message_id=_short(edited.get("message_id", self.message_id)),
            type=_short(self.type),
            headers={REDRIVE: f"{self.id}/{self.redrives}", **self._proofs()},
            content_type=_short(edited.get("content_type", str(content_type or ""))),
            content_encoding=None if encoding is None else _short(str(encoding)),
        )

    def _proofs(self) -> dict[str, str]:
        """Return who has sent it; what was edited is the word of whoever has it sent again."""
        if self.edits:
            return {}
        return {
            name: value
            for name in (USER, *PROOFS)
            if isinstance(value := self.headers.get(name), str)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterGroup:
    """Letters that died of the same at the same place."""

    name: str
    reason: str
    shape: str
    exchange: str
    queue: str
    type: str
    count: int
    first_died_at: datetime
    last_died_at: datetime
    example: int
    """The letter that died last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that happened to a letter."""

    kind: Literal["died", "redriven", "returned", "accepted", "edited", "discarded"]
    number: int
    """For which time it had been sent again by then; 0 is its first life."""

    at: datetime
    actor: str
    why: str
    reason: str | None
    diff: Sequence[str] | None
    redrive: int | None
    position: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A letter and everything that happened to it, the oldest first."""

    letter: KeptLetter
    entries: Sequence[Entry]


class Letters(Protocol):
    """Keeps dead letters, and what people decide about them.

    Every method raises ``Unavailable`` when the database does not answer.
    """

    async def list(
        self, chosen: Chosen | None = None, *, before: int | None = None, limit: int = 100
    ) -> Sequence[LetterLine]:
        """Return letters with a lower number than ``before``, the latest first."""
        ...

    async def count(self, chosen: Chosen | None = None) -> int:
        """Return how many there are."""
        ...

    async def groups(
        self, chosen: Chosen | None = None, *, limit: int = 100
    ) -> Sequence[LetterGroup]:
        """Return the groups of letters, the largest first."""
        ...

    async def show(self, number: int) -> History:
        """Return one letter with its history.

        Raises:
            UnknownDeadLetter: There is none.
        """
        ...

    async def some(
        self, chosen: Chosen | None = None, *, after: int = 0, limit: int = 100
    ) -> Sequence[KeptLetter]:
        """Return whole letters with a higher number, in order: no more than memory can hold."""
        ...

    async def edit(self, number: int, edit: Edit, *, actor: str, why: str) -> KeptLetter:
        """Change what would be sent; what came is kept.

        Raises:
            UnknownDeadLetter: There is none.
            LetterDecided: It is not kept.
            LetterMoved: Others have edited it since it was read.
        """
        ...

    async def discard(self, chosen: Chosen, *, actor: str, why: str, limit: int) -> int:
        """Decide that letters are not wanted any more, at most so many; return how many."""
        ...


def _short(text: str) -> str:
    """Return as much of a text as AMQP can carry beside a body: it may be anybody's invention."""
    return text.encode()[:255].decode(errors="ignore")
