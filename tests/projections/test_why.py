"""Every task that is not done has one cause at the root, and it is named."""

from datetime import timedelta
from typing import Any

import pytest
from psycopg_pool import AsyncConnectionPool

from bus.owed import Depth
from domain.breaker import BreakerOpened
from domain.causes import (
    AtWork,
    Cancelled,
    Cause,
    Explanation,
    FailedForGood,
    FallsSilent,
    HeldByBreaker,
    HeldByLimit,
    HeldInSequence,
    InHand,
    InQueue,
    NoAgents,
    OutcomeUnknown,
    Paused,
    SkippedBecause,
    Unexplained,
    Unpublished,
    WaitsFor,
    WaitsForRetry,
)
from domain.errors import UnknownRun, UnknownTask
from domain.run_options import RunOptions
from domain.steering import RunCancelRequested, RunPauseRequested, TaskSkipRequested
from projections.unblock import commands, words
from projections.why import AmbiguousTask, NoSuchTask, run_of
from tests.support.making import RUN_ID, completed, failed, lost, started, task
from tests.support.watched_run import WatchedRun

KIND: Any = ("execution", "NOOP", "normal")


@pytest.fixture
def run(pool: AsyncConnectionPool) -> WatchedRun:
    return WatchedRun(pool)


def chain(explanation: Explanation | None) -> list[tuple[str, type[Cause]]]:
    assert explanation is not None
    return [(step.task_id, type(step.cause)) for step in explanation.steps]


def root(explanation: Explanation | None, kind: type[Any]) -> Any:
    assert explanation is not None
    assert isinstance(explanation.root.cause, kind), explanation
    return explanation.root.cause


def last_checkpoint(run: WatchedRun) -> str:
    return str(run.history.states[RUN_ID].checkpoints[-1].id)


def unblocking(explanation: Explanation | None) -> list[str]:
    assert explanation is not None
    return list(commands(RUN_ID, explanation.root))


async def test_a_done_task_has_no_cause(run: WatchedRun) -> None:
    run.begin(task("a"), task("b"))
    run.history.say(completed("a"))
    run.history.say(TaskSkipRequested(run_id=RUN_ID, task_id="b"))
    assert await run.why("a") is None
    assert await run.why("b") is None


async def test_a_task_waits_for_one_that_an_agent_works_on(run: WatchedRun) -> None:
    run.hire("ann")
    run.begin(task("a", timeouts={"run": 60}), task("b", "a"), task("c", "b"))
    run.history.say(started("a"))
    await run.beat("ann", ("a", 1, 0.4))
    why = await run.why("c")
    assert chain(why) == [("c", WaitsFor), ("b", WaitsFor), ("a", AtWork)]
    at_work = root(why, AtWork)
    assert (at_work.agent_id, at_work.epoch, at_work.progress) == ("ann", 1, 0.4)
    assert at_work.heard_at == run.now - timedelta(seconds=0.1)
    assert "40% done, lease renewed 0.1 s ago, at most 59.0 s more" in words(at_work, run.now)
    assert unblocking(why) == []


async def test_an_agent_that_falls_silent_is_told_with_the_end_of_its_lease(
    run: WatchedRun,
) -> None:
    run.hire("ann")
    run.begin(task("a"))
    run.history.say(started("a"))
    run.pass_by(9)
    await run.beat("ann", ("a", 1, 0.4), ago=4)
    silent = root(await run.why("a"), FallsSilent)
    assert silent.lease_until == run.now + timedelta(seconds=1)
    assert "runs out in 1.0 s, then another attempt begins" in words(silent, run.now)
    run.history.say(lost("a"))
    assert root(await run.why("a"), InQueue).agents == 1


async def test_only_its_holder_keeps_a_lease_alive(run: WatchedRun) -> None:
    run.begin(task("a", timeouts={"heartbeat": 20}))
    run.history.say(started("a"))
    run.pass_by(14)
    await run.beat("bob", ("a", 1, 0.9))
    silent = root(await run.why("a"), FallsSilent)
    assert silent.lease_until == run.now + timedelta(seconds=5)


async def test_without_agents_the_command_that_starts_one_is_named(run: WatchedRun) -> None:
    run.begin(task("a"), task("b", agent="PAINTER"))
    why = await run.why("a")
    assert root(why, NoAgents).gone == []
    assert unblocking(why) == ["taskloom agent agents.workers.noop"]
    assert "PAINTER" in unblocking(await run.why("b"))[0]
    run.hire("ann", health="offline")
    assert root(await run.why("a"), NoAgents).gone == ["ann"]
    run.depths[KIND] = Depth(ready=1, consumers=1)  # somebody takes work and has not registered
    assert root(await run.why("a"), InQueue).agents == 0


async def test_what_is_ready_to_be_taken_tells_how_busy_its_agents_are(run: WatchedRun) -> None:
    run.hire("ann", "ben")
    run.hire("eve", health="degraded")
    run.begin(*(task(name) for name in "abcdefg"))
    run.depths[KIND] = Depth(ready=3, consumers=3)
    for name in "abcd":
        run.history.say(started(name, agent_id="ann" if name < "c" else "ben"))
    why = await run.why("g")
    queued = root(why, InQueue)
    assert (queued.depth, queued.agents, queued.healthy) == (3, 3, 2)
    assert (queued.busy, queued.capacity) == (4, 6)
    assert unblocking(why) == []
    for name in "ef":
        run.history.say(started(name, agent_id="eve"))
    assert unblocking(await run.why("g")) == ["taskloom agent agents.workers.noop"]


async def test_what_an_agent_has_not_begun_may_wait_for_its_claim(run: WatchedRun) -> None:
    run.hire("ann")
    run.begin(task("a"), task("b", effect="external"))
    await run.beat("ann", ("a", 1, 0.0), ("b", 1, 0.0))
    assert not root(await run.why("a"), InHand).asks_claim
    assert root(await run.why("b"), InHand).asks_claim
    run.pass_by(60)  # nobody has heard of ann since
    assert root(await run.why("a"), InQueue)


async def test_a_retry_is_told_with_its_time_and_the_failure_before(run: WatchedRun) -> None:
    run.hire("ann")
    run.begin(task("a"))
    for epoch in (1, 2, 3):
        run.history.say(failed("a", epoch=epoch, reason="no licence"))
    retry = root(await run.why("a"), WaitsForRetry)
    assert (retry.attempt, retry.most, retry.reason) == (4, 5, "no licence")
    assert retry.until > run.now
    run.pass_by(20)
    assert root(await run.why("a"), InQueue)


async def test_a_paused_run_names_the_command_that_resumes_it(run: WatchedRun) -> None:
    run.begin(task("a"), task("b", "a"))
    run.history.say(RunPauseRequested(run_id=RUN_ID, reason="lunch"))
    run.history.say(completed("a"))
    why = await run.why("b")
    paused = root(why, Paused)
    assert (paused.reason, paused.checkpoint) == ("lunch", last_checkpoint(run))
    assert unblocking(why) == [f"taskloom execution resume {RUN_ID}"]


async def test_a_limit_leads_to_what_is_under_way(run: WatchedRun) -> None:
    run.begin(*(task(name) for name in "abc"), options=RunOptions(limits={"NOOP": 2}))
    why = await run.why("c")
    assert chain(why) == [("c", HeldByLimit), ("a", NoAgents)]
    assert why is not None
    held = why.steps[0].cause
    assert isinstance(held, HeldByLimit)
    assert (held.most, held.tasks) == (2, ["a", "b"])
    assert [step.task_id for step in why.others] == ["b"]


async def test_a_sequence_leads_to_the_task_whose_turn_it_is(run: WatchedRun) -> None:
    run.begin(task("a"), task("b"), options=RunOptions(execution_mode="sequential"))
    run.history.say(started("a"))
    assert chain(await run.why("b")) == [("b", HeldInSequence), ("a", AtWork)]


async def test_an_open_breaker_holds_what_is_dispatched(run: WatchedRun) -> None:
    run.begin(task("a"))
    until = run.now + timedelta(seconds=16)
    run.history.say(
        BreakerOpened(
            role="execution",
            agent_type="NOOP",
            reason="all failed",
            ended=12,
            failed=12,
            trips=1,
            until=until,
        )
    )
    held = root(await run.why("a"), HeldByBreaker)
    assert (held.until, held.reason) == (until, "all failed")


async def test_what_the_broker_does_not_have_yet_is_told(run: WatchedRun) -> None:
    run.begin(task("a"))
    run.published = 0
    why = await run.why("a")
    assert root(why, Unpublished).behind > 0
    assert unblocking(why) == ["taskloom doctor"]


async def test_a_failure_names_retry_and_skip_for_all_that_was_skipped(run: WatchedRun) -> None:
    run.begin(task("a"), task("b", "a"), task("c", "b"), task("d"))
    run.history.say(failed("a", error_class="validation", reason="bad input"))
    why = await run.why("c")
    assert chain(why) == [("c", SkippedBecause), ("b", SkippedBecause), ("a", FailedForGood)]
    assert root(why, FailedForGood).reason == "bad input"
    assert unblocking(why) == [
        f"taskloom execution retry {RUN_ID} a",
        f"taskloom execution skip {RUN_ID} a",
    ]


async def test_an_unknown_outcome_asks_a_person_to_look(run: WatchedRun) -> None:
    run.begin(task("a", effect="external"), task("b"))
    run.history.say(started("a"))
    run.history.say(lost("a"))
    why = await run.why("a")
    assert "look outside" in root(why, OutcomeUnknown).reason
    assert len(unblocking(why)) == 2


async def test_a_cancelled_task_tells_why_its_run_was(run: WatchedRun) -> None:
    run.begin(task("a"))
    run.history.say(RunPauseRequested(run_id=RUN_ID))
    run.history.say(RunCancelRequested(run_id=RUN_ID, reason="enough"))
    why = await run.why("a")
    assert root(why, Cancelled).reason == "enough"
    assert unblocking(why) == [f"taskloom execution rollback {RUN_ID} {last_checkpoint(run)}"]


async def test_what_nothing_keeps_is_called_a_bug(run: WatchedRun) -> None:
    run.begin(task("a"))
    await run.show()
    async with run.pool.connection() as connection:
        await connection.execute("update views.tasks_2 set status = 'pending'")
    why = await run.why("a")
    assert root(why, Unexplained)
    assert "this is a bug" in words(root(why, Unexplained), run.now)


async def test_of_several_roots_the_one_that_needs_a_person_is_shown(run: WatchedRun) -> None:
    run.hire("ann")
    run.begin(task("a"), task("b", agent="CAD"), task("c", "a"), task("d", "c", "b", "a"))
    run.history.say(started("a"))
    await run.beat("ann", ("a", 1, 0.5))
    why = await run.why("d")
    assert chain(why) == [("d", WaitsFor), ("b", NoAgents)]
    assert why is not None
    assert [(step.task_id, type(step.cause)) for step in why.others] == [("a", AtWork)]


async def test_a_run_tells_the_causes_of_what_waits_for_no_other_task(run: WatchedRun) -> None:
    run.hire("ann")
    run.begin(task("a"), task("b", agent="CAD"), task("c", "a"), task("d", "b"))
    run.history.say(started("a"))
    await run.beat("ann", ("a", 1, 0.5))
    steps = await run.why_run()
    assert [(step.task_id, type(step.cause)) for step in steps] == [("b", NoAgents), ("a", AtWork)]


async def test_a_view_that_is_behind_the_other_does_not_mislead(run: WatchedRun) -> None:
    run.begin(task("a"), task("b"))
    run.history.say(started("a"))
    await run.show()
    async with run.pool.connection() as connection:
        await connection.execute("delete from views.attempts_2")
    assert root(await run.why("a"), AtWork).agent_id == "ann"
    assert root(await run.why("b"), NoAgents)


async def test_what_is_not_there_is_refused(run: WatchedRun) -> None:
    run.begin(task("a"), task("b"))
    with pytest.raises(UnknownRun):
        await run.why("a", "exec_none")
    with pytest.raises(UnknownTask):
        await run.why("z")


async def test_a_task_alone_is_found_where_one_run_has_it(run: WatchedRun) -> None:
    run.begin(task("a"), task("b"))
    await run.show()
    async with run.pool.connection() as connection:
        assert await run_of(connection, "a") == RUN_ID
        with pytest.raises(NoSuchTask):
            await run_of(connection, "z")
    run.begin(task("a"), run_id="exec_2")
    await run.show()
    async with run.pool.connection() as connection:
        with pytest.raises(AmbiguousTask, match="exec_1, exec_2"):
            await run_of(connection, "a")
