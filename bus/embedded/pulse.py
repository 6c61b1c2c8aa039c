"""Heartbeats: showing a client that the broker lives, and noticing one that does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle
    from collections.abc import Callable


class Pulse:
    """The heartbeat of one connection; until it is started, the deadline of its handshake."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        *,
        deadline: float,
        beat: Callable[[], None],
        give_up: Callable[[], None],
    ) -> None:
        self.heard = loop.time()
        self.is_deaf = False  # while the broker does not read, silence proves nothing
        self._loop = loop
        self._beat = beat
        self._give_up = give_up
        self._interval = 0.0
        self._timer: TimerHandle = loop.call_later(deadline, give_up)

    def start(self, interval: float) -> None:
        """Begin to beat, every half interval (in seconds, 0 is never)."""
        self._timer.cancel()
        self._interval = interval
        if interval:
            self._timer = self._loop.call_later(interval / 2, self._tick)

    def last(self, seconds: float) -> None:
        """Give up for good after this many seconds."""
        self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._give_up)

    def stop(self) -> None:
        """Beat no more."""
        self._timer.cancel()

    def _tick(self) -> None:
        now = self._loop.time()
        if now - self.heard > 2 * self._interval and not self.is_deaf:
            self._give_up()
            return
        self._beat()
        self._timer = self._loop.call_later(self._interval / 2, self._tick)
