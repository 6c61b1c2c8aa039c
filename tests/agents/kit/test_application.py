"""A running agent on a real broker, seen from the broker's side."""

import asyncio
import math
from contextlib import suppress

import pytest

from agents.agent import Agent, CannotBeDone, TryAgain, Work
from bus.publishing import Unroutable
from bus.topology import REPORTS
from domain.circuits import Fuse
from domain.run_events import TaskCompleted, TaskFailed, TaskStarted
from domain.values import JsonObject
from tests.agents.kit.bench import bench
from tests.agents.kit.running import Running, cut, echo
from tests.support.waiting import until


async def test_a_task_is_started_and_completed_under_its_story(vhost_url: str) -> None:
    async with bench(vhost_url) as here, Running(echo, vhost_url):
        await here.dispatch("a", inputs={"x": {"y": 2}})
        await until(lambda: here.said(TaskCompleted) == ["a"], "the task is completed")
    assert sorted(here.types()[:3]) == ["agent.registered", "task.completed", "task.started"]
    started, done = (r for r in here.reports if r.stream == "exec_1")
    assert isinstance(done.body, TaskCompleted)
    assert done.body.result == {"params": {"n": 1}, "inputs": {"x": {"y": 2}}}
    assert {started.correlation_id, done.correlation_id} == {"story"}
    assert {started.causation_id, done.causation_id} == {"a/1"}
    assert done.actor == "agents/test_worker_001"


@pytest.mark.parametrize(
    ("error", "error_class", "reason"),
    [
        (CannotBeDone("no bore"), "validation", "no bore"),
        (TryAgain("no licence"), "transient", "no licence"),
        (TimeoutError(), "transient", "TimeoutError"),
        (ConnectionError("gone"), "transient", "gone"),
        (ZeroDivisionError("by zero"), "transient", "ZeroDivisionError: by zero"),
        (ValueError("a\x00b\ud800"), "transient", "ValueError: a\ufffdb?"),
        (asyncio.CancelledError("own"), "transient", "CancelledError: own"),
    ],
)
async def test_a_failure_has_a_class(
    vhost_url: str, error: BaseException, error_class: str, reason: str
) -> None:
    async def fail(_: Work) -> JsonObject:
        raise error

    async with bench(vhost_url) as here, Running(fail, vhost_url):
        await here.dispatch("a")
        await until(lambda: here.said(TaskFailed) == ["a"], "the task has failed")
    failure = next(r.body for r in here.reports if isinstance(r.body, TaskFailed))
    assert (failure.error_class, failure.reason) == (error_class, reason)


@pytest.mark.parametrize(
    "result",
    [
        None,
        [1],
        {"a": float("nan")},
        {"a": object()},
        {"a": "\x00"},
        {"a": "\ud800"},
        {"a": 2**70},
        {"a": "x" * 300_000},
    ],
    ids=["none", "list", "nan", "object", "nul", "surrogate", "integer", "large"],
)
async def test_a_result_that_nobody_can_read_is_a_failure(vhost_url: str, result: object) -> None:
    async def act(_: Work) -> JsonObject:
        return result  # type: ignore[return-value]

    async with bench(vhost_url) as here, Running(act, vhost_url):
        await here.dispatch("a")
        await until(lambda: here.said(TaskFailed) == ["a"], "the task has failed")
    failure = next(r.body for r in here.reports if isinstance(r.body, TaskFailed))
    assert failure.error_class == "validation"


async def test_an_unknown_action_is_refused(vhost_url: str) -> None:
    async with bench(vhost_url) as here, Running(echo, vhost_url):
        await here.dispatch("a", action="dance")
        await until(lambda: here.said(TaskFailed) == ["a"], "the task has failed")
    failure = next(r.body for r in here.reports if isinstance(r.body, TaskFailed))
    assert "cannot dance" in failure.reason


async def test_what_cannot_be_read_becomes_a_dead_letter_with_its_reason(vhost_url: str) -> None:
    async with bench(vhost_url) as here, Running(echo, vhost_url):
        await here.send(b"{", "m1")
        await here.dispatch("b", agent="OTHER")
        await here.dispatch("c")
        await until(lambda: here.said(TaskCompleted) == ["c"], "the good one is completed")
        await until(lambda: len(here.dead) == 2, "two are dead")
    reasons = {headers["x-taskloom-reason"] for _, headers in here.dead}
    assert reasons == {"malformed-json", "foreign-work"}
    body, headers = next(x for x in here.dead if x[1]["x-taskloom-reason"] == "malformed-json")
    assert body == b"{"
    assert headers["x-taskloom-queue"] == "taskloom.work.execution.test.normal"
    assert headers["x-taskloom-key"] == "execution.test.normal"


async def test_an_attempt_in_hand_is_not_carried_out_twice(vhost_url: str) -> None:
    carried: list[str] = []
    go = asyncio.Event()

    async def act(work: Work) -> JsonObject:
        carried.append(work.task_id)
        await go.wait()
        return {}

    async with bench(vhost_url) as here, Running(act, vhost_url):
        await here.dispatch("a")
        await until(lambda: carried == ["a"], "the task runs")
        await here.dispatch("a")
        await here.dispatch("b")
        await until(lambda: carried == ["a", "b"], "the next task runs")
        go.set()
        await until(lambda: sorted(here.said(TaskCompleted)) == ["a", "b"], "both are completed")
        await here.dispatch("a")
        await until(lambda: len(here.said(TaskCompleted)) == 3, "the end is said again")
        await here.dispatch("a", epoch=2)
        await until(lambda: carried == ["a", "b", "a"], "another epoch is another attempt")
    first, again = [
        r for r in here.reports if r.causation_id == "a/1" and isinstance(r.body, TaskCompleted)
    ]
    assert first == again


async def test_urgent_work_overtakes_and_only_so_many_run_at_once(vhost_url: str) -> None:
    order: list[str] = []
    go = asyncio.Semaphore(0)

    async def act(work: Work) -> JsonObject:
        order.append(work.task_id)
        await go.acquire()
        return {}

    async with bench(vhost_url) as here, Running(act, vhost_url, concurrency=2):
        for task_id in ("a", "b", "c", "d"):
            await here.dispatch(task_id)
        await until(lambda: len(order) == 2, "two run")
        await here.dispatch("urgent", lane="critical")
        await until(
            lambda: (
                {t.task_id for t in here.heartbeats[-1].tasks if t.state == "waiting"}
                == {"c", "d", "urgent"}
            ),
            "the rest waits",
        )
        assert here.heartbeats[-1].load == 1.0
        assert len(order) == 2
        go.release()
        await until(lambda: len(order) == 3, "another one runs")
        assert order[2] == "urgent"
        for _ in range(4):
            go.release()
        await until(lambda: len(here.said(TaskCompleted)) == 5, "all are completed")


async def test_work_that_waits_too_long_goes_to_an_agent_with_a_place(vhost_url: str) -> None:
    async def stay(_: Work) -> JsonObject:
        await asyncio.Event().wait()
        return {}

    busy = {"concurrency": 1, "patience": 0.3, "grace": 0}
    async with bench(vhost_url) as here, Running(stay, vhost_url, **busy):
        await here.dispatch("a")
        await until(lambda: here.said(TaskStarted) == ["a"], "the busy agent is busy")
        await here.dispatch("b")
        await until(lambda: len(here.heartbeats[-1].tasks) == 2, "the other task waits there")
        async with Running(echo, vhost_url):
            await until(lambda: here.said(TaskCompleted) == ["b"], "an idle agent did it")


async def test_heartbeats_name_what_is_in_hand(vhost_url: str) -> None:
    go = asyncio.Event()

    async def act(work: Work) -> JsonObject:
        work.progress(0.25)
        await go.wait()
        return {}

    async with bench(vhost_url) as here, Running(act, vhost_url):
        await until(lambda: bool(here.heartbeats), "the heart beats")
        assert here.heartbeats[0].lifecycle == "ready"
        await here.dispatch("a", epoch=3)
        await until(lambda: bool(here.heartbeats[-1].tasks), "the task is named")
        beat = here.heartbeats[-1]
        await until(lambda: here.heartbeats[-1].tasks[0].progress == 0.25, "the progress is told")
        assert (beat.tasks[0].task_id, beat.tasks[0].epoch) == ("a", 3)
        go.set()
        await until(lambda: here.heartbeats[-1].completed == 1, "it is counted")
    assert here.heartbeats[-1].memory_bytes > 0


async def test_heartbeats_tell_what_is_to_be_judged(vhost_url: str) -> None:
    async def act(work: Work) -> JsonObject:
        await asyncio.sleep(0.05)
        if work.task_id == "bad":
            raise CannotBeDone("no bore")
        if work.task_id == "unlucky":
            raise TryAgain("no licence")
        return {}

    async with bench(vhost_url) as here, Running(act, vhost_url):
        for name in ("good", "bad", "unlucky"):
            await here.dispatch(name)
        await until(
            lambda: (
                bool(here.heartbeats)
                and here.heartbeats[-1].completed + here.heartbeats[-1].failed == 3
            ),
            "all are counted",
        )
        beat = here.heartbeats[-1]
    assert (beat.completed, beat.failed, beat.faults, beat.interval) == (1, 2, 1, 0.05)
    assert beat.busy_seconds is not None
    assert 0.15 <= beat.busy_seconds < 5


async def test_heartbeats_name_what_the_agent_lacks(vhost_url: str) -> None:
    async def act(work: Work) -> JsonObject:
        async with work.dependency("erp"):
            raise ConnectionError("connection refused")

    agent = Agent(type="TEST", actions={"act": act}, fuses={"erp": Fuse(least_failures=2)})
    async with bench(vhost_url) as here, Running(agent, vhost_url):
        for name in ("a", "b", "c"):
            await here.dispatch(name)
            await until(lambda name=name: name in here.said(TaskFailed), "it fails")  # type: ignore[misc] # bound on purpose
        await until(
            lambda: bool(here.heartbeats and here.heartbeats[-1].dependencies), "it is told"
        )
        (erp,) = here.heartbeats[-1].dependencies
    assert (erp.name, erp.state) == ("erp", "open")
    last = here.reports[-1] if isinstance(here.reports[-1].body, TaskFailed) else here.reports[-2]
    assert isinstance(last.body, TaskFailed)
    assert last.body.error_class == "transient"
    assert "erp is left alone until" in last.body.reason


async def test_progress_that_is_no_number_does_not_stop_the_heart(vhost_url: str) -> None:
    go = asyncio.Event()

    async def act(work: Work) -> JsonObject:
        work.progress(0.5)
        work.progress(math.nan)
        await go.wait()
        return {}

    async with bench(vhost_url) as here, Running(act, vhost_url):
        await here.dispatch("a")
        await until(
            lambda: bool(here.heartbeats and here.heartbeats[-1].tasks), "the task is named"
        )
        beats = len(here.heartbeats)
        await until(lambda: len(here.heartbeats) > beats + 1, "the heart beats on")
        assert here.heartbeats[-1].tasks[0].progress == 0.5
        go.set()


async def test_stopping_finishes_what_runs_and_returns_what_waits(vhost_url: str) -> None:
    begun = asyncio.Event()
    go = asyncio.Event()

    async def act(_: Work) -> JsonObject:
        begun.set()
        await go.wait()
        return {}

    async with bench(vhost_url) as here:
        async with Running(act, vhost_url, concurrency=1) as agent:
            for task_id in ("a", "b", "c"):
                await here.dispatch(task_id)
            await begun.wait()
            await until(lambda: len(here.heartbeats[-1].tasks) == 2, "one runs, one waits")
            agent.stop.set()
            await until(lambda: here.heartbeats[-1].lifecycle == "shutdown", "it stops")
            async with asyncio.timeout(20):
                while await here.waits("taskloom.work.execution.test.normal") < 2:  # noqa: ASYNC110 # it is the broker's
                    await asyncio.sleep(0.02)
            go.set()
        await until(lambda: here.types()[-1] == "agent.deregistered", "it says goodbye")
    assert here.said(TaskCompleted) == ["a"]
    assert here.said(TaskStarted) == ["a"]


async def test_what_outlasts_the_grace_is_left_to_its_lease(vhost_url: str) -> None:
    async def act(_: Work) -> JsonObject:
        await asyncio.Event().wait()
        return {}

    async with bench(vhost_url) as here:
        async with Running(act, vhost_url, grace=0.1) as agent:
            await here.dispatch("a")
            await until(lambda: here.said(TaskStarted) == ["a"], "the task runs")
            await agent.end()
        await until(lambda: here.types()[-1] == "agent.deregistered", "it says goodbye")
    assert "task.failed" not in here.types()


async def test_an_agent_starts_before_everybody_else(vhost_url: str) -> None:
    async with Running(echo, vhost_url), bench(vhost_url) as here:
        await here.dispatch("a")
        await until(lambda: here.said(TaskCompleted) == ["a"], "the task is completed")


async def test_a_report_is_repeated_until_its_queue_is_back(vhost_url: str) -> None:
    go = asyncio.Event()

    async def act(_: Work) -> JsonObject:
        await go.wait()
        return {}

    async with bench(vhost_url, is_deaf=True) as here, Running(act, vhost_url):
        await here.dispatch("a")
        await until(lambda: bool(here.heartbeats and here.heartbeats[-1].tasks), "the task runs")
        await here.gets("task.started")
        async with here.connection.channel() as channel:
            await channel.queue_delete(REPORTS)
            await channel.exchange_delete(REPORTS)
        go.set()
        await here.gets("task.completed")


async def test_work_is_taken_again_when_its_queue_is_back(vhost_url: str) -> None:
    async with bench(vhost_url) as here, Running(echo, vhost_url):
        await here.dispatch("a")
        await until(lambda: here.said(TaskCompleted) == ["a"], "the first is completed")
        async with here.connection.channel() as channel:
            await channel.queue_delete("taskloom.work.execution.test.normal")
        async with asyncio.timeout(20):
            while "b" not in here.said(TaskCompleted):
                with suppress(Unroutable):
                    await here.dispatch("b")
                await asyncio.sleep(0.1)


async def test_an_agent_that_lost_its_connection_goes_on_and_registers_again(
    vhost_url: str,
) -> None:
    go = asyncio.Event()
    carried: list[str] = []

    async def act(work: Work) -> JsonObject:
        carried.append(work.task_id)
        await go.wait()
        return {}

    async with bench(vhost_url) as here, Running(act, vhost_url, concurrency=1):
        await here.dispatch("a")
        await here.dispatch("b")
        await until(lambda: carried == ["a"], "one runs")
        await cut("test_worker_001 takes")
        await until(lambda: here.types().count("agent.registered") == 2, "it registers again")
        go.set()
        await until(lambda: sorted(here.said(TaskCompleted)) == ["a", "b"], "both are completed")
    assert carried == ["a", "b"]
