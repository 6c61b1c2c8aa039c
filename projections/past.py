"""What views showed at a moment: the same folds, over the events of a few streams, in memory."""

from collections.abc import Sequence
from typing import Any

from domain.policies import Event
from domain.recorded import Recorded
from projections.view import Key, R, View, fold_into


class Rows:
    """The rows of all views, as far as some events lead to them."""

    def __init__(self, events: Sequence[Recorded[Event]]) -> None:
        self._events = events
        self._folded: dict[str, dict[Key, Any]] = {}

    def of(self, view: View[R]) -> Sequence[R]:
        """Return the rows of a view, in the order in which they came to be."""
        if view.name not in self._folded:
            heard = [recorded for recorded in self._events if type(recorded.event) in view.hears]
            rows: dict[Key, Any] = {}
            fold_into(view, rows, heard)
            self._folded[view.name] = rows
        return list(self._folded[view.name].values())

    def one(self, view: View[R]) -> R | None:
        """Return the only row of a view, None where it has none."""
        return next(iter(self.of(view)), None)
