"""Messages that may have killed who read them, and the ledger that shows which one it was.

What is delivered again is entered before it is read: all of it together at first, each message
alone when that was somebody's end as well. Whoever dies leaves the entry behind. A message that
was entered three times and never answered is not read again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from bus.messages import Delivery
from domain.errors import Refused

MOST: Final = 3
"""How often reading a message may have been the end of its reader."""


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


def fingerprint(delivery: Delivery) -> str:
    """Return what tells a message from all others, whether or not it can be read."""
    digest = hashlib.sha256((delivery.properties.message_id or "").encode(errors="replace"))
    digest.update(b"\0" + delivery.key.encode(errors="replace") + b"\0")
    digest.update(delivery.body)
    return digest.hexdigest()
