"""Lets so many tasks run at once: the more urgent first, and nobody never."""

import asyncio
from asyncio import Future
from collections import deque

from domain.values import Lane

STRIDES: dict[Lane, int] = {"critical": 1, "high": 2, "normal": 4, "low": 8}
"""How far a lane moves on with each place: while all wait, 15 places go out as 8, 4, 2 and 1."""


class Gate:
    """A bounded number of places, given to the lane that has come least far, the urgent first.

    A lane that was empty joins where the others are: it neither claims what it missed nor waits for
    what they had. So one urgent task overtakes any backlog at the next place, and a stream of them
    leaves each other lane its share.
    """

    def __init__(self, places: int) -> None:
        self.places = places
        self._free = places
        self.is_closed = False
        self._waiting: dict[Lane, deque[Future[bool]]] = {lane: deque() for lane in STRIDES}
        self._reached = dict.fromkeys(STRIDES, 0)
        self._now = 0

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self.places - self._free

    @property
    def has_room(self) -> bool:
        """Whether whoever comes now has a place at once."""
        return self._free > 0

    async def enter(self, lane: Lane, *, patience: float) -> bool:
        """Wait for a place, at most so many seconds; return whether there is one."""
        if self.is_closed:
            return False
        if self._free:
            self._free -= 1
            return True
        place: Future[bool] = asyncio.get_running_loop().create_future()
        if not self._waiting[lane]:
            self._reached[lane] = max(self._reached[lane], self._now)
        self._waiting[lane].append(place)
        giving_up = place.get_loop().call_later(patience, _answer, place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.result():
                self.leave()
            raise
        finally:
            giving_up.cancel()

    def leave(self) -> None:
        """Give a place back: to who waits, if anybody does."""
        while lane := self._next():
            place = self._waiting[lane].popleft()
            if not place.done():
                self._now = self._reached[lane]
                self._reached[lane] += STRIDES[lane]
                place.set_result(True)
                return
        self._free += 1

    def _next(self) -> Lane | None:
        """Return the lane whose turn it is: of equals the most urgent."""
        waiting: list[Lane] = [lane for lane in STRIDES if self._waiting[lane]]
        return min(waiting, key=lambda lane: self._reached[lane], default=None)

    def close(self) -> None:
        """Send everybody away who waits, and whoever comes."""
        self.is_closed = True
        for lane in self._waiting.values():
            for place in lane:
                _answer(place)
            lane.clear()


def _answer(place: Future[bool]) -> None:
    """Say that there is no place."""
    if not place.done():
        place.set_result(False)
