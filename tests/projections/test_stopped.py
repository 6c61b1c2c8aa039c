"""A runner whose views have all stopped rests, and lets others run."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, NoReturn, Self

from domain.policies import Event
from domain.recorded import Recorded
from projections.attempts import ATTEMPTS
from projections.runner import Runner
from projections.view import AnyView
from tests.support.making import requested, task
from tests.support.memory_store import MemoryStore
from tests.support.recorders import recording
from tests.support.recording import said


def refuse(rows: Any, recorded: Any) -> NoReturn:
    raise ValueError("planted")


@dataclass
class Kept:
    """Views that are kept in memory, as far as one that fails needs it."""

    positions: Mapping[str, int] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    async def fold(self, view: AnyView, events: Sequence[Recorded[Event]]) -> None:
        for recorded in events:
            view.fold({}, recorded)

    async def advance(self, views: Sequence[AnyView], *, to: int) -> None:
        raise AssertionError("it cannot fold")


class Views:
    """A store of views in which each begins at the beginning."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    async def prepare(self, views: Sequence[AnyView]) -> None:
        pass

    async def positions(self, views: Sequence[AnyView]) -> Mapping[str, int]:
        return {view.follower: 0 for view in views}

    def turn(self, views: Sequence[AnyView]) -> Kept:
        return Kept(positions={view.follower: 0 for view in views})

    async def report_failure(
        self, views: Iterable[AnyView], *, position: int, type_: str, error: str
    ) -> None:
        self.failures.append(error)

    async def forgive(self, views: Sequence[AnyView]) -> None:
        pass


async def test_a_runner_whose_views_have_all_stopped_lets_others_run() -> None:
    # Found by the simulation: nobody read the log any more, so its wake-up stayed, and the runner
    # spun without ever waiting. Nothing else in its process ran again.
    store, views = MemoryStore(), Views()
    async with recording(store) as recorder:
        await recorder.record(said(requested(task("a")), report_id="run"))
        broken = replace(ATTEMPTS, fold=refuse)
        runner = Runner(views=[broken], log=store, store=views)
        running = asyncio.create_task(runner.run())
        await asyncio.sleep(0.1)
        assert views.failures == ["ValueError: planted"]
        await recorder.record(said(requested(task("a"), run_id="exec_2"), report_id="another"))
        await asyncio.sleep(0.1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
