"""What an agent is ordered of an attempt that it has in hand, it does."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from agents.agent import Work
from agents.kit import carrier
from bus.orders import Order, TaskGrant, TaskStop, encode_order
from domain.run_events import TaskCompleted, TaskStarted, TaskStopped
from domain.values import JsonObject
from tests.agents.kit.bench import Bench, bench
from tests.agents.kit.test_application import Running, echo
from tests.support.waiting import until

AGENT = "test_worker_001"


async def order(here: Bench, order: Order) -> None:
    here.orders += 1
    await here.tell(encode_order(order, AGENT, message_id=f"order-{here.orders}"))


def stop(task_id: str, epoch: int = 1) -> TaskStop:
    return TaskStop(run_id="exec_1", task_id=task_id, epoch=epoch)


def grant(task_id: str, epoch: int = 1) -> TaskGrant:
    return TaskGrant(run_id="exec_1", task_id=task_id, epoch=epoch)


def remembering(begun: list[str], go: asyncio.Event) -> Callable[[Work], Awaitable[JsonObject]]:
    async def act(work: Work) -> JsonObject:
        begun.append(f"{work.key}/{work.epoch}")
        await go.wait()
        return {}

    return act


async def test_what_is_stopped_ends_at_once_and_says_so(vhost_url: str) -> None:
    begun: list[str] = []
    async with bench(vhost_url) as here:
        async with Running(remembering(begun, asyncio.Event()), vhost_url):
            await here.dispatch("a")
            await until(lambda: begun == ["exec_1/a/1"], "it runs")
            await order(here, stop("a"))
            await until(lambda: here.said(TaskStopped) == ["a"], "it is stopped")
            await until(lambda: here.heartbeats[-1].tasks == (), "nothing is in hand")
        assert "task.completed" not in here.types()
        assert "task.failed" not in here.types()


async def test_only_the_epoch_that_is_named_is_stopped(vhost_url: str) -> None:
    begun: list[str] = []
    go = asyncio.Event()
    async with bench(vhost_url) as here, Running(remembering(begun, go), vhost_url):
        await here.dispatch("a", epoch=2)
        await until(lambda: begun == ["exec_1/a/2"], "it runs")
        await order(here, stop("a", epoch=1))
        await order(here, stop("b", epoch=2))
        go.set()
        await until(lambda: here.said(TaskCompleted) == ["a"], "it is completed")


async def test_what_waits_for_a_place_is_never_begun_once_it_is_stopped(vhost_url: str) -> None:
    begun: list[str] = []
    go = asyncio.Event()
    async with bench(vhost_url) as here:
        async with Running(remembering(begun, go), vhost_url, concurrency=1):
            await here.dispatch("a")
            await until(lambda: begun == ["exec_1/a/1"], "the first runs")
            await here.dispatch("b", lane="high")
            await until(lambda: len(here.heartbeats[-1].tasks) == 2, "the second waits")
            await order(here, stop("b"))
            await order(here, stop("nothing"))  # by now the one before has arrived as well
            beats = len(here.heartbeats)
            await until(lambda: len(here.heartbeats) > beats + 2, "it has heard of it")
            go.set()
            await until(lambda: here.said(TaskCompleted) == ["a"], "the first is done")
            await until(lambda: here.heartbeats[-1].tasks == (), "nothing is in hand")
        assert begun == ["exec_1/a/1"]
        assert here.said(TaskStarted) == ["a"]


async def test_an_external_effect_begins_only_when_its_claim_is_granted(vhost_url: str) -> None:
    begun: list[str] = []
    go = asyncio.Event()
    go.set()
    async with bench(vhost_url) as here, Running(remembering(begun, go), vhost_url):
        await here.dispatch("a", effect="external")
        await until(lambda: here.said(TaskStarted) == ["a"], "its start is reported")
        await until(
            lambda: [task.state for task in here.heartbeats[-1].tasks] == ["claiming"],
            "its heartbeat says that it waits for its claim",
        )
        assert begun == []
        await order(here, grant("a"))
        await until(lambda: here.said(TaskCompleted) == ["a"], "it is completed")
        assert begun == ["exec_1/a/1"]


async def test_a_claim_that_is_refused_leaves_no_effect(vhost_url: str) -> None:
    begun: list[str] = []
    async with bench(vhost_url) as here:
        async with Running(remembering(begun, asyncio.Event()), vhost_url):
            await here.dispatch("a", effect="external")
            await until(lambda: here.said(TaskStarted) == ["a"], "its start is reported")
            await order(here, stop("a"))
            await until(lambda: here.said(TaskStopped) == ["a"], "it is stopped")
        assert begun == []


async def test_a_claim_that_nobody_answers_is_reported_again(
    vhost_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrier, "ASK_AGAIN", 0.1)
    async with bench(vhost_url) as here, Running(echo, vhost_url):
        await here.dispatch("a", effect="external")
        await until(lambda: len(here.said(TaskStarted)) >= 3, "it asks again")
        assert len({r.id for r in here.reports if isinstance(r.body, TaskStarted)}) == 1
        await order(here, grant("a"))
        await until(lambda: here.said(TaskCompleted) == ["a"], "it is completed")


async def test_an_order_that_nobody_can_read_changes_nothing(vhost_url: str) -> None:
    async with bench(vhost_url) as here, Running(echo, vhost_url):
        await until(lambda: bool(here.heartbeats), "it lives")
        for body in (b"{", b"[]", b'{"type": "task.explode"}', b'{"type": "task.stop"}'):
            message = encode_order(stop("a"), AGENT, message_id="x")
            await here.tell(replace(message, body=body))
        await here.dispatch("a")
        await until(lambda: here.said(TaskCompleted) == ["a"], "it works")
