"""Seats: how many live updates one follows at a time. Each process counts for itself."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack

from api.errors import TooManyFollowed
from domain.identity import Caller


class Seats:
    """Who follows how much."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def take(self, caller: Caller, most: Mapping[str, int]) -> ExitStack:
        """Let a caller follow one thing more, until what is returned is closed.

        Raises:
            TooManyFollowed: They follow as much as their role may.
        """
        limit = most.get(caller.role)
        actor = caller.actor
        if limit is not None and self._taken[actor] >= limit:
            raise TooManyFollowed(limit)
        self._taken[actor] += 1
        seat = ExitStack()
        seat.callback(self._leave, actor)
        return seat

    def _leave(self, actor: str) -> None:
        self._taken[actor] -= 1
        if not self._taken[actor]:
            del self._taken[actor]
