"""What was true a second ago: keeps a lookup for every request from becoming a query for each."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from domain.errors import Unavailable

_STALE: Final = 60.0
"""Seconds for which an answer of before is better than none."""

V = TypeVar("V")


class Recent(Generic[V]):
    """Remembers answers for a second, and the latest ones only."""

    def __init__(
        self, now: Callable[[], float], *, seconds: float = 1.0, most: int = 10_000
    ) -> None:
        self._now = now
        self._seconds = seconds
        self._most = most
        self._known: OrderedDict[str, tuple[float, V]] = OrderedDict()

    async def get(self, name: str, ask: Callable[[], Awaitable[V]]) -> V:
        """Return what was answered within the last second, or ask."""
        known = self._known.get(name)
        if known is not None and self._now() - known[0] < self._seconds:
            return known[1]
        asked_at = self._now()
        try:
            answer = await ask()
        except Unavailable:
            # Without the database there is nothing to be had; who we knew may be told so.
            if known is not None and asked_at - known[0] < _STALE:
                return known[1]
            raise
        self._known[name] = (asked_at, answer)
        self._known.move_to_end(name)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return answer

    def forget(self, name: str) -> None:
        """Ask anew next time."""
        self._known.pop(name, None)
