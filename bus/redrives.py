"""Redrives: decisions to send dead letters again, kept so that a crash costs none of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal, Protocol

from pydantic import Field, StrictBool

from bus.letters import Chosen, KeptLetter, Words
from domain.values import Value

Standing = Literal["running", "completed", "halted", "cancelled"]

LARGEST_CANARY: Final = 1_000
FASTEST: Final = 100_000.0


class Wish(Value):
    """What somebody wants to be sent again, and how carefully."""

    chosen: Chosen = Chosen()
    why: Words = ""
    rate: Annotated[float, Field(gt=0, le=FASTEST, allow_inf_nan=False)] | None = None
    """Letters a second at most."""

    canary: Annotated[int, Field(ge=0, le=LARGEST_CANARY)] = 0
    """So many are sent first; the rest follows only if each of them was accepted."""

    only_accepted: StrictBool = False
    """Leave those that today's code would not accept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fates:
    """What has become of the letters of a redrive so far."""

    total: int
    """How many there were when it was asked for."""

    claimed: int = 0
    accepted: int = 0
    died: int = 0
    returned: int = 0
    """No queue took them."""

    skipped: int = 0
    """Today's code would not have accepted them."""

    @property
    def unanswered(self) -> int:
        """How many were sent, or are about to be, and have no fate yet."""
        return self.claimed - self.accepted - self.died - self.returned


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrive:
    """A wish that is being carried out, or was."""

    id: int
    actor: str
    asked_at: datetime
    wish: Wish
    status: Standing
    outcome: str
    """Why it was halted."""

    ended_at: datetime | None
    is_canary_well: bool
    fates: Fates


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A letter was sent again, and what it says is recorded now."""

    letter: int
    number: int
    message_id: str
    position: int
    """The last event it led to; 0 when it was recorded before."""


class Redrives(Protocol):
    """Keeps redrives. Every method raises ``Unavailable`` when the database does not answer."""

    async def ask(self, wish: Wish, *, actor: str, key: str | None = None) -> Redrive:
        """Accept a wish, which is carried out from now on; the same key again is the same wish.

        Raises:
            UnknownDeadLetter: A letter that was named does not exist.
            LetterDecided: One that was named was accepted, or is under way.
            CannotBeSentAgain: One that was named came from elsewhere.
            NoSuchLetters: There is nothing to send.
        """
        ...

    async def show(self, number: int) -> Redrive:
        """Return one redrive.

        Raises:
            UnknownRedrive: There is none.
        """
        ...

    async def list(self, *, before: int | None = None, limit: int = 50) -> Sequence[Redrive]:
        """Return redrives with a lower number than ``before``, the latest first."""
        ...

    async def end(self, number: int, status: Standing, *, outcome: str = "") -> Redrive:
        """End a redrive, unless it has ended: what is under way is still sent.

        Raises:
            UnknownRedrive: There is none.
        """
        ...


class Claims(Redrives, Protocol):
    """Gives letters to whoever carries a redrive out: each to one redrive at a time."""

    async def under_way(self) -> Sequence[Redrive]:
        """Return redrives that run, or have left letters under way."""
        ...

    async def left(self, redrive: int, *, limit: int) -> Sequence[KeptLetter]:
        """Return letters that are claimed, and perhaps sent, by a redrive."""
        ...

    async def next(self, redrive: int, *, limit: int) -> Sequence[KeptLetter]:
        """Return the letters that a redrive has not looked at yet, as many as fit into memory.

        There are none when it has ended.
        """
        ...

    async def claim(
        self, redrive: int, letters: Sequence[int], *, up_to: int, skipped: int
    ) -> Sequence[KeptLetter]:
        """Claim letters before they are sent, and move on to ``up_to``.

        What others have claimed or decided meanwhile is not returned, and nothing at all when the
        redrive has ended.
        """
        ...

    async def sent(self, redrive: int, letters: Sequence[int]) -> None:
        """Remember that the broker took charge of letters."""
        ...

    async def returned(self, redrive: int, letters: Sequence[int], *, why: str) -> None:
        """Keep letters again that no queue has taken."""
        ...

    async def canaries(self, redrive: int) -> Sequence[KeptLetter]:
        """Return the letters of a redrive that wait for their fate."""
        ...

    async def canary_is_well(self, redrive: int) -> None:
        """Remember that the first letters were all accepted."""
        ...

    async def accepted(self, acceptances: Sequence[Acceptance]) -> None:
        """Remember that what letters say is recorded; saying it again does no harm."""
        ...
