"""What a runner needs of the place where views are kept."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from domain.policies import Event
from domain.recorded import Recorded
from projections.view import AnyView


class Turn(Protocol):
    """A transaction in which nobody else moves the views: all of it is kept, or nothing."""

    @property
    def positions(self) -> Mapping[str, int]:
        """Where the views stand, by their followers."""
        ...

    async def fold(self, view: AnyView, events: Sequence[Recorded[Event]]) -> None:
        """Fold events into the rows of a view."""
        ...

    async def advance(self, views: Sequence[AnyView], *, to: int) -> None:
        """Move views forward; a view that is further already stays."""
        ...


class ViewStore(Protocol):
    """Keeps the rows of views, how far they have come, and why they have stopped.

    Every method raises ``Unavailable`` when the database does not answer.
    """

    async def prepare(self, views: Sequence[AnyView]) -> None:
        """Make a place for views that have none yet, and forget why others have stopped."""
        ...

    async def positions(self, views: Sequence[AnyView]) -> Mapping[str, int]:
        """Return the positions of views by their followers."""
        ...

    def turn(self, views: Sequence[AnyView]) -> AbstractAsyncContextManager[Turn]:
        """Begin a transaction that moves views; it is committed when the context ends well."""
        ...

    async def report_failure(
        self, views: Sequence[AnyView], *, position: int, type_: str, error: str
    ) -> None:
        """Make it visible that views have stopped before the event at a position."""
        ...

    async def forgive(self, views: Sequence[AnyView]) -> None:
        """Forget why views have stopped."""
        ...
