"""What a dead letter carries beside the message itself: why it is dead, and where it was going."""

from dataclasses import dataclass
from typing import Final

REASON: Final = "x-taskloom-reason"
DETAIL: Final = "x-taskloom-detail"
EXCHANGE: Final = "x-taskloom-exchange"
KEY: Final = "x-taskloom-key"
QUEUE: Final = "x-taskloom-queue"

_LONGEST_DETAIL = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a message was when it was refused."""

    exchange: str
    key: str
    queue: str


def dead_letter_headers(reason: str, detail: str, origin: Origin) -> dict[str, str]:
    """Return the headers of a dead letter; ``reason`` is the stable code of what refused it."""
    return {
        REASON: reason,
        DETAIL: detail[:_LONGEST_DETAIL],
        EXCHANGE: origin.exchange,
        KEY: origin.key,
        QUEUE: origin.queue,
    }
