"""A seat on the panel: one model, and when it may be asked."""

import time
from dataclasses import dataclass
from typing import Final

from agents.llm.model import Model
from agents.llm.pace import Pace

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0


@dataclass(slots=True, kw_only=True)
class Seat:
    """A model that may be asked, at its provider's pace, and until when it is left alone."""

    model: Model
    pace: Pace
    rests_until: float = 0.0
    failures: int = 0

    def rest(self, asked_for: float | None) -> None:
        """Leave it alone after a failure: as long as it has asked for, or longer each time."""
        self.failures += 1
        own = min(_FIRST_PAUSE * 2.0 ** min(self.failures - 1, 10), _LONGEST_PAUSE)
        self.wait(own if asked_for is None else asked_for)

    def wait(self, seconds: float) -> None:
        """Leave it alone for some seconds."""
        self.rests_until = time.monotonic() + seconds
