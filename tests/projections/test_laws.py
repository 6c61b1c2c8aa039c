"""What holds for every view, whatever it shows."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql
from psycopg_pool import AsyncConnectionPool

from bus.ports import Log
from domain.agent import AgentRegistered
from domain.errors import UnreadableStream
from domain.policies import Event
from domain.recorded import Recorded
from projections import rebuild as rebuilds
from projections import runner as runners
from projections.catalog import VIEWS
from projections.positions import statuses
from projections.postgres import PostgresViews
from projections.rebuild import rebuild, retire, verify
from projections.runner import Runner
from projections.view import AnyView
from tests.support.histories import History, a_history


async def rows_of(pool: AsyncConnectionPool, view: AnyView) -> Sequence[Mapping[str, Any]]:
    async with pool.connection() as connection:
        cursor = await connection.execute(
            sql.SQL("select to_jsonb(t) from {} t order by {}").format(
                sql.Identifier("views", view.table),
                sql.SQL(", ").join(map(sql.Identifier, view.key)),
            )
        )
        return [row for (row,) in await cursor.fetchall()]


def folded_one_by_one(view: AnyView, events: Sequence[Recorded[Event]]) -> dict[Any, Any]:
    rows: dict[Any, Any] = {}
    for recorded in events:
        if type(recorded.event) not in view.hears:
            continue
        touched = {key: rows[key] for key in view.keys(recorded) if key in rows}
        for key, row in list(view.fold(touched, recorded)):
            rows[key] = row
            if row is None:
                del rows[key]
    return rows


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_fold_needs_only_the_rows_that_it_names(view: AnyView, seed: int) -> None:
    history = a_history(seed, turns=40)
    assert folded_one_by_one(view, history.events)


@pytest.mark.parametrize("batch", [1, 7, 500])
async def test_batches_of_any_size_lead_to_the_same_rows(
    pool: AsyncConnectionPool, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(runners, "BATCH", batch)
    history = a_history(1, turns=120)
    runner = Runner(views=VIEWS, log=history, store=PostgresViews(pool))
    await runner.prepare()
    assert await runner.catch_up() == len(history.events)
    for view in VIEWS:
        kept = await rows_of(pool, view)
        assert len(kept) == len(folded_one_by_one(view, history.events))
        assert (await verify(view, log=history, pool=pool)).is_right, view.name


async def test_a_seen_event_is_skipped(pool: AsyncConnectionPool) -> None:
    history = a_history(2)
    runner = Runner(views=VIEWS, log=history, store=PostgresViews(pool))
    await runner.prepare()
    await runner.catch_up()
    again = Runner(views=VIEWS, log=history, store=PostgresViews(pool))
    await again.prepare()
    assert await again.catch_up() == 0


async def test_two_runners_of_the_same_views_fold_each_event_once(
    pool: AsyncConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "BATCH", 10)
    history = a_history(3)
    both = [Runner(views=VIEWS, log=history, store=PostgresViews(pool)) for _ in range(2)]
    for runner in both:
        await runner.prepare()
    await asyncio.gather(*(runner.catch_up() for runner in both))
    for view in VIEWS:
        assert (await verify(view, log=history, pool=pool)).is_right, view.name


async def test_a_rebuilt_view_has_the_same_rows(pool: AsyncConnectionPool) -> None:
    history = a_history(4, turns=40)
    runner = Runner(views=VIEWS, log=history, store=PostgresViews(pool))
    await runner.prepare()
    await runner.catch_up()
    for view in VIEWS:
        before = await rows_of(pool, view)
        seen: list[int] = []

        def progress(view: str, position: int, read: int, seen: list[int] = seen) -> None:
            seen.append(position)

        reached = await rebuild(view, log=history, pool=pool, progress=progress)
        assert reached == history.head == seen[-1]
        assert await rows_of(pool, view) == before
        assert len(before) > 0


async def test_a_rebuild_repairs_a_wrong_row(pool: AsyncConnectionPool) -> None:
    history = a_history(5)
    runner = Runner(views=VIEWS, log=history, store=PostgresViews(pool))
    await runner.prepare()
    await runner.catch_up()
    async with pool.connection() as connection:
        await connection.execute(
            "update views.executions_2 set completed = completed + 1 where run_id = 'exec_1-1'"
        )
        await connection.execute("delete from views.tasks_2 where task_id = 'task-3'")
    executions, tasks = (view for view in VIEWS if view.name in ("executions", "tasks"))
    wrong = await verify(executions, log=history, pool=pool)
    assert (wrong.different, wrong.examples[0].key) == (1, ["exec_1-1"])
    assert wrong.examples[0].columns == ["completed"]
    missing = await verify(tasks, log=history, pool=pool)
    assert missing.different > 0
    assert missing.examples[0].kept is None
    for view in (executions, tasks):
        await rebuild(view, log=history, pool=pool)
        assert (await verify(view, log=history, pool=pool)).is_right


async def test_a_runner_goes_on_after_a_rebuild(pool: AsyncConnectionPool) -> None:
    history = a_history(6, turns=50)
    runner = Runner(views=VIEWS, log=history, store=PostgresViews(pool))
    await runner.prepare()
    await runner.step()
    longer = a_history(6, turns=150)
    assert len(longer.events) > len(history.events)
    for view in VIEWS:
        await rebuild(view, log=longer, pool=pool)
    history.events[:] = longer.events
    history.say(_again(longer))
    await runner.catch_up()
    for view in VIEWS:
        verdict = await verify(view, log=history, pool=pool)
        assert verdict.is_right, view.name
        assert verdict.position == history.head


def _again(history: History) -> Any:
    history.states.clear()
    return AgentRegistered(agent_id="late", agent_type="CAD", instance="late-1")


async def test_a_view_that_fails_stops_alone_and_says_where(pool: AsyncConnectionPool) -> None:
    history = a_history(7)
    poison = next(event for event in history.events if event.type == "task.completed")
    runner = Runner(views=VIEWS, log=history, store=PostgresViews(pool))
    await runner.prepare()
    async with pool.connection() as connection:
        await connection.execute(
            "alter table views.executions_2 add constraint planted check (completed = 0)"
        )
    await runner.catch_up()
    async with pool.connection() as connection:
        found = {status.view: status for status in await statuses(connection, VIEWS)}
    stopped = found.pop("executions")
    assert stopped.failure is not None
    assert stopped.failure.position == poison.position
    assert stopped.failure.type == "task.completed"
    assert "planted" in stopped.failure.error
    assert stopped.position == _before(history, poison.position)
    assert all(other.failure is None for other in found.values())
    assert {other.position for other in found.values()} == {history.head}

    async with pool.connection() as connection:
        await connection.execute("alter table views.executions_2 drop constraint planted")
    await runner.prepare()
    await runner.catch_up()
    for view in VIEWS:
        assert (await verify(view, log=history, pool=pool)).is_right, view.name
    async with pool.connection() as connection:
        assert all(status.failure is None for status in await statuses(connection, VIEWS))


def _before(history: History, position: int) -> int:
    return max(event.position for event in history.events if event.position < position)


async def test_a_runner_follows_until_it_is_cancelled(pool: AsyncConnectionPool) -> None:
    history = a_history(8, turns=30)
    log: Log = history
    runner = Runner(views=VIEWS, log=log, store=PostgresViews(pool))
    task = asyncio.create_task(runner.run())
    async with asyncio.timeout(10):
        while {followed.position for followed in runner.followed} != {history.head}:  # noqa: ASYNC110 # a condition
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_rebuild_beside_a_running_runner_loses_nothing(
    pool: AsyncConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "BATCH", 5)
    monkeypatch.setattr(rebuilds, "BATCH", 7)
    history = a_history(9)
    runner = Runner(views=VIEWS, log=history, store=PostgresViews(pool))
    await runner.prepare()
    tasks = next(view for view in VIEWS if view.name == "tasks")

    async def again_and_again() -> None:
        for _ in range(3):
            await rebuild(tasks, log=history, pool=pool)

    await asyncio.gather(runner.catch_up(), again_and_again())
    await runner.catch_up()
    verdict = await verify(tasks, log=history, pool=pool)
    assert verdict.is_right
    assert verdict.position == history.head


async def test_two_rebuilds_of_a_view_do_not_meet(pool: AsyncConnectionPool) -> None:
    history = a_history(1, turns=20)
    tasks = next(view for view in VIEWS if view.name == "tasks")
    outcomes = await asyncio.gather(
        *(rebuild(tasks, log=history, pool=pool) for _ in range(2)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [type(refusal) for refusal in refused] == [rebuilds.RebuildUnderWay]
    assert (await verify(tasks, log=history, pool=pool)).is_right


async def test_a_new_version_grows_beside_the_old_one(pool: AsyncConnectionPool) -> None:
    history = a_history(10)
    old = next(view for view in VIEWS if view.name == "tasks")
    new = replace(old, version=old.version + 1)
    before = Runner(views=[old], log=history, store=PostgresViews(pool))
    await before.prepare()
    await before.catch_up()
    after = Runner(
        views=[view for view in VIEWS if view is not old] + [new],
        log=history,
        store=PostgresViews(pool),
    )
    await after.prepare()
    await after.catch_up()
    assert await rows_of(pool, new) == await rows_of(pool, old)
    assert await retire(pool, [new]) == [old.table]
    assert await retire(pool, [new]) == []
    assert (await verify(new, log=history, pool=pool)).is_right


def test_queries_read_the_version_that_is_folded() -> None:
    folder = Path(rebuilds.__file__).parent
    named = {
        name
        for source in folder.glob("*.py")
        for name in re.findall(r"views\.(\w+_\d+)", source.read_text())
    }
    assert named == {view.table for view in VIEWS}


class Growing(History):
    """A log that somebody appends to between two looks at it."""

    def __init__(self, events: Sequence[Recorded[Event]]) -> None:
        super().__init__()
        self.events = list(events[: len(events) // 2])
        self._later = list(events)

    async def read_all(self, *, after: int, limit: int) -> Sequence[Recorded[Event]]:
        found = await super().read_all(after=after, limit=limit)
        self.events = self._later
        return found


async def test_a_rebuild_never_leads_a_view_back(pool: AsyncConnectionPool) -> None:
    history = a_history(11)
    tasks = next(view for view in VIEWS if view.name == "tasks")
    runner = Runner(views=[tasks], log=history, store=PostgresViews(pool))
    await runner.prepare()
    await runner.catch_up()
    assert await rebuild(tasks, log=Growing(history.events), pool=pool) == history.head
    assert (await verify(tasks, log=history, pool=pool)).is_right


class Unreadable(History):
    """A log with an event that today's code cannot read, until it is replaced."""

    bad: int = 0

    async def read_all(self, *, after: int, limit: int) -> Sequence[Recorded[Event]]:
        found = await super().read_all(after=after, limit=limit)
        if any(recorded.position == self.bad for recorded in found):
            raise UnreadableStream("there is no such type")
        return found


async def test_an_event_that_cannot_be_read_is_reported_and_waited_for(
    pool: AsyncConnectionPool,
) -> None:
    history = Unreadable()
    history.events = a_history(12).events
    bad = history.events[len(history.events) // 2]
    history.bad = bad.position
    runner = Runner(views=VIEWS, log=history, store=PostgresViews(pool))
    await runner.prepare()
    with pytest.raises(UnreadableStream):
        await runner.catch_up()
    async with pool.connection() as connection:
        found = await statuses(connection, VIEWS)
    assert {status.position for status in found} == {_before(history, bad.position)}
    assert {status.failure.type for status in found if status.failure} == {"unreadable"}
    history.bad = 0
    await runner.catch_up()
    async with pool.connection() as connection:
        found = await statuses(connection, VIEWS)
    assert {(status.position, status.failure) for status in found} == {(history.head, None)}
