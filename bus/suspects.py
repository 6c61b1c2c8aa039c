"""Messages that may have killed who read them, and the ledger that shows which one it was.

What is delivered again is entered before it is read: all of it together at first, a few at a time
when that was somebody's end as well, and each alone when that was. Whoever dies leaves the entries
behind. A message that was entered four times and never answered is not read again.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

from bus.messages import Delivery
from domain.errors import Refused

MOST: Final = 4
"""How often reading a message may have been the end of its reader."""

FEW: Final = 25
"""How many are read at a time that were entered once: about the root of a group."""


class KillsItsReader(Refused):
    """Whoever reads the message dies of it."""

    code = "kills-its-reader"

    def __init__(self, deaths: int) -> None:
        super().__init__(f"{deaths} processes that were reading it ended before they had answered")


class Ledger(Protocol):
    """What was being read when its reader died, and how often.

    Every method raises ``Unavailable`` when the database does not answer.
    """

    async def entries(self, fingerprints: Sequence[str]) -> Mapping[str, int]:
        """Return how often messages were entered, of those that were."""
        ...

    async def enter(self, fingerprints: Sequence[str]) -> None:
        """Enter messages that are about to be read."""
        ...

    async def clear(self, fingerprints: Sequence[str]) -> None:
        """Forget messages that are answered."""
        ...


def portions(names: Sequence[str], entries: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    """Cut messages, in their order, into what may be read together: from where to where."""
    if not entries:
        yield 0, len(names)
        return
    start = 0
    for place, name in enumerate(names):
        is_alone = entries.get(name, 0) > 1
        if start < place and (is_alone or place - start == FEW):
            yield start, place
            start = place
        if is_alone:
            yield place, place + 1
            start = place + 1
    if start < len(names):
        yield start, len(names)


def fingerprint(delivery: Delivery) -> str:
    """Return what tells a message from all others, whether or not it can be read."""
    digest = hashlib.sha256((delivery.properties.message_id or "").encode(errors="replace"))
    digest.update(b"\0" + delivery.key.encode(errors="replace") + b"\0")
    digest.update(delivery.body)
    return digest.hexdigest()
