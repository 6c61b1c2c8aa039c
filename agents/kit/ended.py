"""The last reports of attempts that ended here, in case the broker delivers one of them again."""

from collections import OrderedDict

from bus.messages import Message

Attempt = tuple[str, str, int]
"""A run, a task of it and an epoch."""

_MOST = 1_000
_MOST_BYTES = 16 * 1024 * 1024


class Ended:
    """Remembers so many reports, and so many bytes of them."""

    def __init__(self, *, most: int = _MOST, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._reports: OrderedDict[Attempt, Message] = OrderedDict()

    def report_of(self, attempt: Attempt) -> Message | None:
        """Return how an attempt ended, if that is remembered."""
        return self._reports.get(attempt)

    def remember(self, attempt: Attempt, report: Message) -> None:
        """Remember how an attempt ended, and forget the oldest where it gets too much."""
        self._reports[attempt] = report
        self._bytes += len(report.body)
        while len(self._reports) > self._most or self._bytes > self._most_bytes:
            _, forgotten = self._reports.popitem(last=False)
            self._bytes -= len(forgotten.body)
