"""The reply to COMMIT is lost: nothing is recorded twice, and nobody hears of a conflict."""

import asyncio

import pytest

from bus.ports import SystemClock
from bus.recorder import Outcome, Recorder
from domain.errors import Unavailable
from domain.policies import AnyReport
from domain.recorded import Report
from infra.chaos.proxy import Proxy, proxied
from infra.store.store import DatabaseUnavailable, PostgresStore
from tests.support.recording import a_life, hello, said, status

TIMES = 20


async def insist(recorder: Recorder, report: Report[AnyReport]) -> tuple[Outcome, int]:
    """Say a report until it is answered, as the inbox does, and count how often it took."""
    for attempt in range(1, 10):
        try:
            return await asyncio.wait_for(asyncio.shield(recorder.record(report)), 30), attempt
        except Unavailable:
            continue
    raise AssertionError(f"{report.id} is never answered")


async def swallowed(proxy: Proxy, recorder: Recorder, report: Report[AnyReport]) -> Outcome:
    proxy.swallow_commits(1)
    before = proxy.swallowed
    outcome, attempts = await insist(recorder, report)
    assert (proxy.swallowed, attempts) == (before + 1, 2)
    return outcome


async def test_an_append_whose_reply_is_lost_says_that_it_does_not_know(database: str) -> None:
    async with proxied(database) as (dsn, proxy), PostgresStore(dsn) as store:
        await store.load("agent:ann")
        proxy.swallow_commits(1)
        with pytest.raises(DatabaseUnavailable):
            await store.append(a_life("ann", [1]))
        assert (await store.load("agent:ann"))[1] == 1


async def test_every_report_is_answered_once_though_each_first_reply_is_lost(
    database: str,
) -> None:
    async with proxied(database) as (dsn, proxy), PostgresStore(dsn) as store:
        recorder = Recorder(store, SystemClock())
        running = asyncio.create_task(recorder.run())
        await recorder.record(said(hello("ann"), report_id="r-0"))
        for number in range(1, TIMES + 1):
            report = said(status("ann", number), report_id=f"r-{number}")
            outcome = await swallowed(proxy, recorder, report)
            assert outcome.version == number + 1
            assert [event.causation_id for event in outcome.events] == [report.id]
            assert outcome.position > 0
        stream = await store.read("agent:ann")
        assert [event.causation_id for event in stream] == [f"r-{n}" for n in range(TIMES + 1)]
        running.cancel()


async def test_a_whole_group_whose_reply_is_lost_is_answered_report_by_report(
    database: str,
) -> None:
    async with proxied(database) as (dsn, proxy), PostgresStore(dsn) as store:
        recorder = Recorder(store, SystemClock())
        running = asyncio.create_task(recorder.run())
        agents = [f"agent{number}" for number in range(10)]
        first = [said(hello(name), report_id=f"hello-{name}") for name in agents]
        await asyncio.gather(*(recorder.record(report) for report in first))
        second = [
            said(status(name, number), report_id=f"{number}-{name}")
            for name in agents
            for number in (1, 2, 3)
        ]
        proxy.swallow_commits(1)
        answers = recorder.record_all(second)
        lost = await asyncio.gather(*answers, return_exceptions=True)
        assert {type(each) for each in lost} == {DatabaseUnavailable}
        # Said again in another order, beside something new.
        late = [said(status("agent0", 4), report_id="4-agent0")]
        outcomes = await asyncio.gather(*recorder.record_all([*second[::-1], *late]))
        assert all(outcome.position > 0 for outcome in outcomes)
        for name in agents:
            stream = await store.read(f"agent:{name}")
            expected = [f"hello-{name}", f"1-{name}", f"2-{name}", f"3-{name}"]
            expected += ["4-agent0"] if name == "agent0" else []
            assert [event.causation_id for event in stream] == expected
        running.cancel()


async def test_a_report_said_again_to_another_recorder_changes_nothing(database: str) -> None:
    async with proxied(database) as (dsn, proxy), PostgresStore(dsn) as store:
        report = said(hello("ann"), report_id="r-1")
        for _ in range(2):
            recorder = Recorder(store, SystemClock())
            running = asyncio.create_task(recorder.run())
            proxy.swallow_commits(1)
            await insist(recorder, report)
            running.cancel()
        assert len(await store.read("agent:ann")) == 1
