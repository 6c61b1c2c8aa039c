"""Every unfinished task stands somewhere, and what stands nowhere is found."""

import time
from collections import Counter
from datetime import timedelta

import pytest
from psycopg_pool import AsyncConnectionPool

from domain.breaker import BreakerOpened
from domain.causes import Unexplained
from domain.run import Run
from domain.run_options import RunOptions
from domain.steering import RunPauseRequested
from projections.audit import Audit, Named, audit
from projections.table import Connection
from tests.support.histories import a_history
from tests.support.making import RUN_ID, completed, failed, started, task
from tests.support.watched_run import LEASE, WatchedRun

LATE = timedelta(seconds=10)


@pytest.fixture
def run(pool: AsyncConnectionPool) -> WatchedRun:
    return WatchedRun(pool)


async def audited(run: WatchedRun) -> Audit:
    await run.show()
    async with run.pool.connection() as connection:
        return await audit(connection, now=run.now, lease=LEASE, late=LATE)


async def standings(run: WatchedRun) -> dict[str, int]:
    return counted(await audited(run))


def counted(found: Audit) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for group in found.groups:
        counts[group.standing] += group.count
    return dict(counts)


async def test_what_needs_others_or_is_with_an_agent_stands_well(run: WatchedRun) -> None:
    run.hire("ann")
    run.begin(task("a"), task("b", "a"), task("c"), task("d", agent="CAD"), task("e"))
    run.history.say(started("a"))
    run.history.say(failed("e"))
    run.pass_by(60)
    run.history.say(started("c"))
    assert await standings(run) == {"needs": 1, "silent": 1, "leased": 1, "queued": 2}
    await run.beat("ann", ("a", 1, 0.5), ("e", 2, 0.0))
    found = await audited(run)
    assert counted(found) == {"needs": 1, "leased": 2, "in_hand": 1, "queued": 1}
    (queued,) = [group for group in found.groups if group.standing == "queued"]
    assert (queued.role, queued.agent_type, queued.lane, queued.late) == (
        "execution",
        "CAD",
        "normal",
        1,
    )


async def test_a_retry_a_detour_and_what_is_not_published_have_names(run: WatchedRun) -> None:
    run.begin(task("a"), task("b", agent="CAD"))
    run.history.say(
        BreakerOpened(
            role="execution",
            agent_type="CAD",
            reason="all failed",
            ended=12,
            failed=12,
            trips=1,
            until=run.now + timedelta(seconds=16),
        )
    )
    for epoch in (1, 2, 3):
        run.history.say(failed("a", epoch=epoch))
    assert await standings(run) == {"delayed": 1, "detoured": 1}
    run.published = 0
    assert await standings(run) == {"unpublished": 2}


@pytest.mark.parametrize(
    "options",
    [
        RunOptions(limits={"NOOP": 1}),
        RunOptions(parallelization="conservative"),
        RunOptions(execution_mode="sequential"),
    ],
)
async def test_a_hold_is_a_reason_as_long_as_it_holds(run: WatchedRun, options: RunOptions) -> None:
    run.begin(task("a"), task("b"), options=options)
    assert await standings(run) == {"queued": 1, "held": 1}
    async with run.pool.connection() as connection:
        await connection.execute("update views.tasks_2 set status = 'completed' where epoch = 1")
    assert await standings(run) == {"astray": 1}


async def test_a_pause_is_a_reason(run: WatchedRun) -> None:
    run.begin(task("a"), task("b", "a"))
    run.history.say(RunPauseRequested(run_id=RUN_ID))
    run.history.say(completed("a"))
    assert await standings(run) == {"held": 1}


async def test_what_needs_a_failed_task_asks_a_person(run: WatchedRun) -> None:
    run.begin(task("a"), task("b", "a"), task("c"))
    run.history.say(failed("a", error_class="validation"))
    await run.show()
    async with run.pool.connection() as connection:
        # Today's rules skip it, and do not retry it before the other one.
        await connection.execute("update views.tasks_2 set status = 'pending' where task_id = 'b'")
    found = await audited(run)
    assert found.sample("asks") == [
        Named(run_id=RUN_ID, task_id="b", epoch=0, status="pending"),
    ]


@pytest.mark.parametrize(
    "damage",
    [
        "delete from views.attempts_2 where task_id = 'a'",
        "update views.attempts_2 set epoch = 7 where task_id = 'a'",
        "update views.tasks_2 set status = 'pending' where task_id = 'a'",
        "update views.tasks_2 set status = 'lost' where task_id = 'a'",
        "update views.tasks_2 set needs = '{ghost}', status = 'pending' where task_id = 'a'",
    ],
)
async def test_a_planted_orphan_is_found(run: WatchedRun, damage: str) -> None:
    run.begin(task("a"), task("b", "a"))
    await run.show()
    assert (await audited(run)).count("astray") == 0
    async with run.pool.connection() as connection:
        await connection.execute(damage.encode())
    found = await audited(run)
    assert [name.task_id for name in found.sample("astray")] == ["a"]


async def test_timers_that_nobody_heard_and_ends_that_are_none_are_counted(
    run: WatchedRun,
) -> None:
    run.begin(task("a", timeouts={"start": 5}), task("b"))
    run.pass_by(30)
    assert (await audited(run)).overdue == 1
    async with run.pool.connection() as connection:
        await connection.execute("update views.executions_2 set status = 'completed'")
    found = await audited(run)
    assert (found.left, found.groups) == (1, [])


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_every_unfinished_task_has_one_cause_and_none_is_astray(
    run: WatchedRun, seed: int
) -> None:
    options = (
        RunOptions(),
        RunOptions(limits={"CAD": 1, "SIM": 2}),
        RunOptions(execution_mode="sequential"),
    )[seed % 3]
    run.history = a_history(seed, turns=25 + 30 * seed, options=options)
    found = await audited(run)
    assert found.sample("astray") == []
    assert found.left == 0
    stood = sum(group.count for group in found.groups)
    runs = [state for state in run.history.states.values() if isinstance(state, Run)]
    assert stood == sum(each.open for each in runs)
    for each in runs:
        for task_id, state in each.states.items():
            why = await run.why(task_id, each.id)
            assert (why is None) == state.is_met
            if why is not None:
                assert why.steps[0].task_id == task_id
                assert not isinstance(why.root.cause, Unexplained), (each.id, task_id, why)


async def plant(connection: Connection) -> None:
    """Plant 100 runs of 1,000 tasks: 50 with agents, 50 in queues, 900 that need one of these."""
    await connection.execute(
        "insert into views.executions_2 select r.* from views.executions_2 e"
        " cross join generate_series(1, 100) n cross join lateral"
        " jsonb_populate_record(e, jsonb_build_object('run_id', 'exec_big-' || n)) r"
    )
    for table, last in (("tasks", 1_000), ("attempts", 100)):
        await connection.execute(
            f"insert into views.{table}_2 select r.* from views.{table}_2 t"
            f" cross join generate_series(1, 100) n cross join generate_series(1, {last}) i"
            " cross join lateral jsonb_populate_record(t, jsonb_build_object("
            " 'run_id', 'exec_big-' || n, 'task_id', 't' || i,"
            " 'status', case when i <= 50 then 'started' when i <= 100 then 'dispatched'"
            "   else 'pending' end,"
            " 'state', case when i <= 50 then 'started' else 'dispatched' end,"
            " 'agent_id', case when i <= 50 then 'agent-' || n end,"
            " 'needs', case when i > 100 then jsonb_build_array('t' || i % 100 + 1) else '[]' end"
            " )) r where t.task_id = 'a'".encode()
        )
    await connection.execute(
        "insert into presence select 'agent-' || n, '1', 'working', 1, 1, 1,"
        " (select jsonb_agg(jsonb_build_object('run_id', 'exec_big-' || n, 'task_id', 't' || i,"
        "  'epoch', 1)) from generate_series(1, 50) i), now() from generate_series(1, 100) n"
    )


async def test_a_hundred_thousand_open_tasks_are_proved_at_once(run: WatchedRun) -> None:
    run.begin(task("a"))
    await run.show()
    async with run.pool.connection() as connection:
        await plant(connection)
        began = time.monotonic()
        found = await audit(connection, now=run.now, lease=LEASE, late=LATE)
        took = time.monotonic() - began
    assert found.count("astray") == 0
    assert found.count("needs") == 90_000
    assert found.count("leased") == 5_000
    assert took < 25, f"{took:.1f} s"  # 2 s, when nothing else runs
