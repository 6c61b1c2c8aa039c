"""Lets so many tasks run at once, and the more urgent first."""

import asyncio
from asyncio import Future
from collections import deque

from domain.values import Lane


class Gate:
    """A bounded number of places; who waits in the priority lane goes first."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._free = places
        self.is_closed = False
        self._waiting: dict[Lane, deque[Future[bool]]] = {"priority": deque(), "normal": deque()}

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self.places - self._free

    async def enter(self, lane: Lane, *, patience: float) -> bool:
        """Wait for a place, at most so many seconds; return whether there is one."""
        if self.is_closed:
            return False
        if self._free:
            self._free -= 1
            return True
        place: Future[bool] = asyncio.get_running_loop().create_future()
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
        for lane in self._waiting.values():
            while lane:
                place = lane.popleft()
                if not place.done():
                    place.set_result(True)
                    return
        self._free += 1

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
