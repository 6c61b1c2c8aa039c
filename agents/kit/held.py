"""An attempt that an agent has in hand, and what it has been told about it."""

import asyncio
import math
from dataclasses import dataclass, field
from typing import Literal

from bus.ports import Taken
from domain.usage import ModelCall


@dataclass(slots=True)
class Held:
    """An attempt in hand."""

    delivery: Taken
    """The latest delivery of it: an earlier one may belong to a connection that is gone."""

    state: Literal["waiting", "claiming", "running"] = "waiting"
    progress: float = 0.0
    running: asyncio.Task[None] | None = None
    """What carries it out, once it has begun."""

    is_stopped: bool = False
    """Whether the agent was told to let go of it."""

    calls: list[ModelCall] = field(default_factory=list[ModelCall])
    """The calls of language models that it has made so far."""

    granted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its external effect may begin."""

    def advance(self, progress: float) -> None:
        """Take note of the progress; what is no number tells nothing."""
        if not math.isnan(progress):  # it would make every heartbeat fail, and cost every lease
            self.progress = min(max(float(progress), 0.0), 1.0)

    def begin(self) -> None:
        """Take note of what carries it out, from inside: only what has begun can clean up.

        Raises:
            CancelledError: It was told to stop while its start was being reported.
        """
        self.running = asyncio.current_task()
        if self.is_stopped:
            raise asyncio.CancelledError

    def stop(self) -> None:
        """Let go of it, as far as what carries it out can be cancelled."""
        if self.is_stopped:
            return
        self.is_stopped = True
        if self.running is not None:
            self.running.cancel()
