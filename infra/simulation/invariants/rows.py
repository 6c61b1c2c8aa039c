"""Whether views say what the log says."""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.policies import Event
from domain.recorded import Recorded
from infra.simulation.database import Database
from infra.simulation.world import Violation
from projections.catalog import VIEWS
from projections.view import AnyView, Key, fold_into


def folds(database: Database) -> Iterator[Violation]:
    """Find views that are not the fold of the log, or that have stopped."""
    for follower, why in sorted(database.failures.items()):
        yield Violation("I9", f"{follower} has stopped: {why}")
    for view in VIEWS:
        reached = database.positions.get(view.follower, 0)
        heard = [event for event in database.events if event.position <= reached]
        kept = database.rows.get(view.follower, {})
        for what in _differences(view, kept, folded(view, heard)):
            yield Violation("I9", what)


def folded(view: AnyView, events: list[Recorded[Event]]) -> Mapping[Key, Any]:
    """Return the rows of a view, folded from the first event."""
    heard = [event for event in events if type(event.event) in view.hears]
    changed = fold_into(view, {}, heard)
    return {key: row for key, row in changed.items() if row is not None}


def _differences(view: AnyView, kept: Mapping[Key, Any], right: Mapping[Key, Any]) -> Iterator[str]:
    for key in [*right, *(key for key in kept if key not in right)]:
        if kept.get(key) != right.get(key):
            yield f"{view.name} has {kept.get(key)} for {key}, and should have {right.get(key)}"
            return
