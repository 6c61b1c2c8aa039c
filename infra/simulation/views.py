"""Views in the simulated database: the real folds, over rows in memory."""

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from domain.policies import Event
from domain.recorded import Recorded
from infra.simulation.database import Database, DatabaseDown, Lock
from infra.simulation.processes import Process
from infra.simulation.store import SimulatedStore
from projections.view import AnyView, Key, fold_into

_STALLED = 1.0
"""Seconds after which the database ends a transaction whose process stands still."""


class SimulatedTurn:
    """A transaction that moves views."""

    def __init__(self, store: SimulatedStore, process: Process, database: Database) -> None:
        self.positions: Mapping[str, int] = {}
        self._store = store
        self._process = process
        self._database = database
        self._followers: Sequence[str] = ()
        self._lock = Lock(process)
        self._staged: dict[str, dict[Key, Any]] = {}
        self._moves: dict[str, int] = {}

    def over(self, views: Sequence[AnyView]) -> Self:
        """Say which views it moves."""
        self._followers = [view.follower for view in views]
        return self

    async def __aenter__(self) -> Self:
        await self._store.call()
        while any(map(self._is_held, self._followers)):  # noqa: ASYNC110 # as a lock of a database
            await asyncio.sleep(0.02)
        for follower in self._followers:
            self._database.locks[follower] = self._lock
        self.positions = {
            name: self._database.positions[name]
            for name in self._followers
            if name in self._database.positions
        }
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                await self._commit()
        finally:
            for follower in self._followers:
                if self._database.locks.get(follower) is self._lock:
                    del self._database.locks[follower]

    async def fold(self, view: AnyView, events: Sequence[Recorded[Event]]) -> None:
        """Fold events into the rows of a view."""
        heard = [recorded for recorded in events if type(recorded.event) in view.hears]
        if not heard:
            return
        kept = self._database.rows.setdefault(view.follower, {})
        staged = self._staged.setdefault(view.follower, {})
        rows: dict[Key, Any] = {}
        if not view.is_a_log:
            for recorded in heard:
                for key in view.keys(recorded):
                    row = staged[key] if key in staged else kept.get(key)
                    if row is not None:
                        rows[key] = row
        staged.update(fold_into(view, rows, heard))

    async def advance(self, views: Sequence[AnyView], *, to: int) -> None:
        """Move views forward; a view that is further already stays."""
        for view in views:
            if self.positions.get(view.follower, 0) < to:
                self._moves[view.follower] = to

    async def _commit(self) -> None:
        await self._store.call()
        if any(self._database.locks.get(name) is not self._lock for name in self._followers):
            raise DatabaseDown("the transaction was ended, because its process stood still")
        before: dict[str, dict[Key, Any]] = {}
        for follower, changed in self._staged.items():
            rows = self._database.rows[follower]
            before[follower] = {key: rows.get(key) for key in changed}
            _apply(rows, changed)

        def undo() -> None:
            for follower, changed in before.items():
                _apply(self._database.rows[follower], changed)

        self._database.advance(self._moves, undo=undo)

    def _is_held(self, follower: str) -> bool:
        lock = self._database.locks.get(follower)
        if lock is None:
            return False
        holder = lock.holder
        stalls = holder.is_paused and holder.world.now - holder.paused_at > _STALLED
        return holder.is_alive and not stalls


def _apply(rows: dict[Key, Any], changed: Mapping[Key, Any]) -> None:
    for key, row in changed.items():
        if row is None:
            rows.pop(key, None)
        else:
            rows[key] = row


class SimulatedViews:
    """Where a runner keeps its views."""

    def __init__(self, process: Process, store: SimulatedStore, database: Database) -> None:
        self._process = process
        self._store = store
        self._database = database

    async def prepare(self, views: Sequence[AnyView]) -> None:
        """Make a place for views that have none yet, and forget why others have stopped."""
        await self._store.call()
        for view in views:
            self._database.rows.setdefault(view.follower, {})
            self._database.positions.setdefault(view.follower, 0)

    async def positions(self, views: Sequence[AnyView]) -> Mapping[str, int]:
        """Return the positions of views by their followers."""
        await self._store.call()
        return {view.follower: self._database.positions[view.follower] for view in views}

    def turn(self, views: Sequence[AnyView]) -> SimulatedTurn:
        """Begin a transaction that moves views."""
        return SimulatedTurn(self._store, self._process, self._database).over(views)

    async def report_failure(
        self, views: Sequence[AnyView], *, position: int, type_: str, error: str
    ) -> None:
        """Make it visible that views have stopped: in a simulation nothing may stop them."""
        await self._store.call()
        for view in views:
            self._database.failures[view.follower] = f"{type_} at {position}: {error}"

    async def forgive(self, views: Sequence[AnyView]) -> None:
        """Forget why views have stopped: here nobody does."""
        del views
        await self._store.call()
