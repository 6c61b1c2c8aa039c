"""How often a provider is asked, and for how much: within what it allows an account in a minute.

Two buckets that fill steadily, one of calls and one of tokens. A call takes one of the first before
it is made; its tokens are known afterwards, so the second may run into debt, which has to be made
up for before the next call. Each process counts for itself. What a provider counts it says itself
(429), and whoever asks respects that as well.
"""

import time
from dataclasses import dataclass, field
from typing import Final

from agents.llm.choices import Provider

_MINUTE: Final = 60.0


@dataclass(slots=True)
class _Bucket:
    """What is left of so much in a minute; full at first."""

    most: float
    left: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.left, self.at = self.most, time.monotonic()

    def pause(self) -> float:
        """Return the seconds until there is one to take."""
        now = time.monotonic()
        self.left = min(self.most, self.left + (now - self.at) * self.most / _MINUTE)
        self.at = now
        return max(0.0, 1 - self.left) * _MINUTE / self.most


class Pace:
    """How often, and for how much, a provider may still be asked."""

    def __init__(self, provider: Provider) -> None:
        """Take the limits of a provider; without any there is never a pause."""
        self._calls = _bucket(provider.calls_per_minute)
        self._tokens = _bucket(provider.tokens_per_minute)
        self._said = " and ".join(
            f"{most} {what}"
            for most, what in (
                (provider.calls_per_minute, "calls"),
                (provider.tokens_per_minute, "tokens"),
            )
            if most is not None
        )

    def __str__(self) -> str:
        """Say it, for whoever has to wait."""
        return f"{self._said} a minute"

    def pause(self) -> float:
        """Return the seconds until it may be asked; 0 counts the call that is made now."""
        pause = max((each.pause() for each in (self._calls, self._tokens) if each), default=0.0)
        if not pause and self._calls is not None:
            self._calls.left -= 1
        return pause

    def account(self, tokens: int) -> None:
        """Count what a call has taken."""
        if self._tokens is not None:
            self._tokens.left -= tokens


def _bucket(most: int | None) -> _Bucket | None:
    return None if most is None else _Bucket(most)
