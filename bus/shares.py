"""Shares: how much one agent may say before others go first.

Each has a bucket of tokens that fills at a steady rate. Whoever has none left is not refused: what
they say is held (``held.py``), and is heard when the others have had their say.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import structlog

from bus.envelope import agent_actor
from bus.heard import Heard
from bus.ports import Clock
from bus.senders import sender_of

log = structlog.get_logger(__name__)

_REMEMBERED: Final = 10_000
"""Agents whose buckets are known; of more, those that were silent for longest are full again."""

_SAID_AGAIN: Final = 60.0
"""Seconds after which it is logged once more that somebody says too much."""


@dataclass(slots=True)
class _Bucket:
    """What one agent may still say."""

    tokens: float
    at: float
    logged_at: float = float("-inf")


class Shares:
    """Counts what agents say, and knows who has had their share."""

    def __init__(self, clock: Clock, *, rate: float, burst: float) -> None:
        """Let each agent say so many reports a second, and a burst of them now and then."""
        self._clock = clock
        self.rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def hold_back(self, group: Iterable[Heard]) -> None:
        """Have those reports of a group wait whose agents have had their share."""
        now = self._clock.now().timestamp()
        for heard in group:
            name = _speaker(heard)
            if name and not self._takes(name, now):
                heard.hold()

    def _takes(self, name: str, now: float) -> bool:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(self._burst, now)
            if len(self._buckets) > _REMEMBERED:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(name)
        filled = bucket.tokens + max(0.0, now - bucket.at) * self.rate
        bucket.tokens, bucket.at = min(self._burst, filled), now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return True
        if now - bucket.logged_at >= _SAID_AGAIN:
            bucket.logged_at = now
            log.warning("agent.says_too_much", agent=name, rate=self.rate, burst=self._burst)
        return False


def _speaker(heard: Heard) -> str:
    """Return whose share a report is of; nobody's, where it is no agent's.

    What is not signed is counted by the broker's user beside the agent that it names: nobody uses
    up the share of another user's agents.
    """
    if heard.signer:
        return agent_actor(heard.signer)
    agent_id = getattr(heard.report.body, "agent_id", "") if heard.report is not None else ""
    return f"{sender_of(heard.delivery.properties).user}/{agent_id}" if agent_id else ""
