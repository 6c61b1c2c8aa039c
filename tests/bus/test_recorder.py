"""The recorder, on PostgreSQL: groups, neighbours, rivals, snapshots."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from bus.recorder import Contended, Outcome, Poisonous, Recorder
from bus.states import SNAPSHOT_EVERY
from domain.agent import AgentStatus
from domain.deciders import ForeignReport
from domain.errors import Refused, Unavailable, UnknownAgent, UnknownRun, UnreadableStream
from domain.plan import GoalSubmitted, GraphProposed
from domain.policies import AnyReport
from domain.recorded import Report, derived_id
from domain.steering import RunCancelRequested
from infra.store.store import DatabaseUnavailable, PostgresStore
from tests.support.making import RUN_ID, completed, pause, requested, resume, task
from tests.support.memory_store import MemoryStore
from tests.support.recorders import recording
from tests.support.recording import a_life, hello, said, status
from tests.support.scenario import NOW
from tests.support.waiting import until
from tests.support.watched_store import WatchedStore

GOAL = {"title": "Build a rover"}


@pytest.fixture
async def store(database: str) -> AsyncIterator[WatchedStore]:
    async with PostgresStore(database) as kept:
        yield WatchedStore(kept)


async def say(recorder: Recorder, *reports: Report[AnyReport]) -> list[Outcome | BaseException]:
    """Hand in reports as one group, and return what became of each."""
    return await asyncio.gather(*recorder.record_all(reports), return_exceptions=True)


def registrations(count: int, *, prefix: str = "a") -> list[Report[AnyReport]]:
    return [said(hello(f"{prefix}{n}"), report_id=f"r-{prefix}{n}") for n in range(count)]


def lacking(outcomes: list[Outcome | BaseException]) -> list[Outcome | BaseException]:
    return [each for each in outcomes if not isinstance(each, Outcome)]


async def test_hundreds_of_reports_share_one_append(store: WatchedStore) -> None:
    async with recording(store) as recorder:
        outcomes = await say(recorder, *registrations(500))
    assert lacking(outcomes) == []
    assert store.appends == [500]


async def test_a_group_has_its_largest_size(store: WatchedStore) -> None:
    async with recording(store, group=100) as recorder:
        assert lacking(await say(recorder, *registrations(250))) == []
    assert store.appends == [100, 100, 50]


async def test_what_arrives_during_a_commit_forms_the_next_group(store: WatchedStore) -> None:
    async with recording(store) as recorder:
        later: list[asyncio.Future[Outcome]] = []

        async def arrive() -> None:
            if not later:
                later.extend(recorder.record_all(registrations(50, prefix="b")))

        store.before_append = arrive
        await say(recorder, *registrations(3))
        await asyncio.gather(*later)
    assert store.appends == [3, 50]


async def test_an_answer_tells_where_the_report_is_recorded(store: WatchedStore) -> None:
    report = said(hello("ann"), report_id="r-1")
    async with recording(store) as recorder:
        first = await recorder.record(report)
        second = await recorder.record(said(status("ann", 1), report_id="r-2"))
        again = await recorder.record(said(status("ann", 1), report_id="r-3"))
    assert (first.stream, first.version, second.version, again.version) == ("agent:ann", 1, 2, 2)
    assert 0 < first.position < second.position
    assert (again.position, list(again.events)) == (0, [])
    (event,) = first.events
    assert event.id == derived_id("r-1", "1")
    assert (event.at, event.causation_id, event.actor) == (NOW, "r-1", "users/ada")
    assert list(first.events) == list(await store.read("agent:ann"))[:1]


async def test_the_reports_of_a_group_build_on_each_other(store: WatchedStore) -> None:
    async with recording(store) as recorder:
        outcomes = await say(
            recorder,
            said(hello("ann"), report_id="r-1"),
            said(status("ann", 1), report_id="r-2"),
            said(status("ann", 1), report_id="r-3"),
            said(status("ann", 2), report_id="r-4"),
        )
    versions = [each.version for each in outcomes if isinstance(each, Outcome)]
    assert versions == [1, 2, 2, 3]
    assert store.appends == [3]


async def test_a_wish_that_comes_again_after_its_opposite_is_not_granted_again(
    store: WatchedStore,
) -> None:
    pausing, resuming = said(pause(), report_id="p"), said(resume(), report_id="r")
    async with recording(store) as recorder:
        await say(recorder, said(requested(task("a")), report_id="run"))
        _, first, again = await say(recorder, pausing, resuming, pausing)
        later = await recorder.record(pausing)
        other = await recorder.record(said(pause(), report_id="q"))
    assert isinstance(first, Outcome)
    assert isinstance(again, Outcome)
    assert first.events
    assert not again.events
    assert not later.events
    assert [event.type for event in other.events] == ["run.checkpointed", "run.paused"]


async def test_a_refusal_does_not_touch_its_neighbours(store: WatchedStore) -> None:
    stray = said(status("nobody", 1), report_id="stray")
    foreign = said(requested(task("a")), report_id="foreign", stream="agent:ann")
    no_stream = said(hello("ann"), report_id="no stream", stream="nonsense")
    good = registrations(3)
    async with recording(store) as recorder:
        outcomes = await say(recorder, good[0], stray, good[1], foreign, no_stream, good[2])
    assert [type(each) for each in outcomes] == [
        Outcome,
        UnknownAgent,
        Outcome,
        ForeignReport,
        Refused,
        Outcome,
    ]
    assert store.appends == [3]


async def test_a_report_that_breaks_the_rules_themselves_stays_alone(store: WatchedStore) -> None:
    goal = GoalSubmitted.model_validate({"plan_id": "plan_1", "goal": GOAL})
    poison = GraphProposed.model_construct(plan_id="plan_1", run_id="exec_1", tasks=7)  # type: ignore[arg-type] # that is what is wrong
    good = registrations(2)
    async with recording(store) as recorder:
        await recorder.record(said(goal, report_id="goal"))
        outcomes = await say(
            recorder, good[0], said(poison, report_id="poison", stream="plan_1"), good[1]
        )
        assert [type(each) for each in outcomes] == [Outcome, Poisonous, Outcome]
        assert "the rules fail on it with TypeError" in str(outcomes[1])
        assert isinstance(await recorder.record(registrations(3)[2]), Outcome)


async def test_an_unreadable_stream_does_not_touch_its_neighbours(
    store: WatchedStore, database: str
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("insert into events values ('agent:eve', 1, 'os:system', '{}')")
    eve = [said(status("eve", n), report_id=f"eve-{n}") for n in (1, 2)]
    good = registrations(2)
    async with recording(store) as recorder:
        outcomes = await say(recorder, eve[0], good[0], eve[1], good[1])
    assert [isinstance(each, UnreadableStream) for each in outcomes] == [True, False, True, False]
    assert lacking([outcomes[1], outcomes[3]]) == []


async def test_a_stream_that_becomes_unreadable_concerns_nobody_else(
    store: WatchedStore, database: str
) -> None:
    async with recording(store) as recorder:
        await say(recorder, said(hello("eve"), report_id="eve"), *registrations(1))
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("insert into events values ('agent:eve', 2, 'os:system', '{}')")
        outcomes = await say(
            recorder,
            said(status("eve", 1), report_id="eve-1"),
            said(status("a0", 1), report_id="a0-1"),
        )
        assert isinstance(outcomes[0], UnreadableStream)
        assert isinstance(outcomes[1], Outcome)


async def test_what_others_appended_meanwhile_is_built_upon(store: WatchedStore) -> None:
    async with recording(store) as one, recording(store) as other:
        await one.record(said(hello("ann"), report_id="r-1"))
        await other.record(said(status("ann", 1), report_id="r-2"))
        outcome = await one.record(said(status("ann", 2), report_id="r-3"))
        assert outcome.version == 3
    reads = [event.causation_id for event in await store.read("agent:ann")]
    assert reads == ["r-1", "r-2", "r-3"]


async def test_a_refusal_does_not_rest_on_what_was_true_once(store: WatchedStore) -> None:
    async with recording(store) as one, recording(store) as other:
        stop = RunCancelRequested(run_id=RUN_ID, reason="enough")
        with pytest.raises(UnknownRun):
            await one.record(said(stop, report_id="too early"))
        await other.record(said(requested(task("a"), task("b", "a")), report_id="run"))
        outcome = await one.record(said(stop, report_id="now"))
        assert outcome.events[-1].type == "run.cancelled"


async def test_that_there_is_nothing_to_do_does_not_rest_on_what_was_true_once(
    store: WatchedStore,
) -> None:
    well = AgentStatus(agent_id="ann", lifecycle="ready", health="healthy")
    async with recording(store) as one, recording(store) as other:
        await one.record(said(hello("ann"), report_id="r-1"))
        await other.record(said(status("ann", 1), report_id="r-2"))
        outcomes = await say(one, said(well, report_id="r-3"), said(hello("bob"), report_id="r-4"))
        assert [each.version for each in outcomes if isinstance(each, Outcome)] == [3, 1]


async def test_a_refusal_that_is_still_right_costs_one_look(store: WatchedStore) -> None:
    async with recording(store) as recorder:
        await recorder.record(said(hello("ann"), report_id="r-1"))
        store.loads.clear()
        await say(recorder, *(said(hello("ann"), report_id=f"again {n}") for n in range(5)))
        assert (store.loads, store.reads) == ([], ["agent:ann"])


async def test_rivals_that_never_rest_wait_in_anothers_turn(
    store: WatchedStore, database: str
) -> None:
    async with PostgresStore(database) as rival, asyncio.TaskGroup() as late:
        versions = iter(range(1, 100))
        appends: list[asyncio.Task[object]] = []

        async def get_ahead() -> None:
            await rival.append(a_life("ann", [next(versions)]))

        async def try_to_get_ahead() -> None:
            other = rival.append(a_life("bob", [1]))
            appends.append(late.create_task(other))
            await asyncio.wait(appends, timeout=0.2)
            assert not appends[0].done()

        store.before_append, store.in_turn = get_ahead, try_to_get_ahead
        async with recording(store, tries=3) as recorder:
            outcome = await recorder.record(said(hello("ann", "another"), report_id="r-0"))
        assert (outcome.version, len(store.appends)) == (5, 4)
    assert len(await store.read("agent:bob")) == 1


async def test_a_turn_that_was_taken_away_makes_it_contended() -> None:
    store = WatchedStore(rival := MemoryStore())
    versions = iter(range(1, 100))

    async def get_ahead() -> None:
        await rival.append(a_life("ann", [next(versions)]))

    store.before_append = store.in_turn = get_ahead
    async with recording(store, tries=2) as recorder:
        report = said(
            AgentStatus(agent_id="ann", lifecycle="recovering", health="unhealthy"),
            report_id="r-1",
        )
        hasty = said(hello("ann", "another"), report_id="r-0")
        outcomes = await say(recorder, hasty, report)
        assert [type(each) for each in outcomes] == [Contended, Contended]
        assert len(store.appends) == 3
        assert isinstance(outcomes[0], Unavailable)


async def test_rivals_that_rest_are_overcome(store: WatchedStore, database: str) -> None:
    async with PostgresStore(database) as rival:
        versions = iter(range(1, 4))

        async def get_ahead() -> None:
            if version := next(versions, 0):
                await rival.append(a_life("ann", [version]))

        store.before_append = get_ahead
        async with recording(store) as recorder:
            outcome = await recorder.record(said(hello("ann", "another"), report_id="r-0"))
            assert outcome.version == 4
            assert len(store.appends) == 4


async def test_a_store_that_does_not_answer_is_said_to_everybody(store: WatchedStore) -> None:
    async with recording(store) as recorder:

        async def fail() -> None:
            raise DatabaseUnavailable(OSError("cut"))

        store.before_append = fail
        outcomes = await say(recorder, *registrations(3), said(status("x", 1), report_id="x"))
        assert {type(each) for each in outcomes} == {DatabaseUnavailable}
        store.before_append = lambda: asyncio.sleep(0)
        assert lacking(await say(recorder, *registrations(3))) == []
        assert len(await store.read("agent:a0")) == 1


async def test_a_stream_in_use_is_loaded_once(store: WatchedStore) -> None:
    async with recording(store) as recorder:
        for number in range(5):
            await say(
                recorder,
                said(hello("ann", f"{number}"), report_id=f"ann-{number}"),
                said(hello("bob", f"{number}"), report_id=f"bob-{number}"),
            )
    assert sorted(store.loads) == ["agent:ann", "agent:bob"]


async def test_no_more_is_remembered_than_allowed(store: WatchedStore) -> None:
    async with recording(store, most_parts=2, group=1) as recorder:
        for name in "abcdea":
            await recorder.record(said(hello(name, "x"), report_id=f"r-{name}"))
    assert store.loads.count("agent:a") == 2


async def test_what_is_handed_in_is_cancelled_when_the_recorder_ends(store: WatchedStore) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    store.before_append = never
    async with recording(store, group=2) as recorder:
        answers = recorder.record_all(registrations(5))
        await until(lambda: store.appends == [2], "the first group is on its way")
    assert [answer.cancelled() for answer in answers] == [True] * 5


async def test_a_caller_that_gave_up_does_not_disturb_its_group(store: WatchedStore) -> None:
    async with recording(store) as recorder:
        answers = recorder.record_all(registrations(3))
        answers[1].cancel()
        assert (await answers[0]).version == 1
        assert (await answers[2]).version == 1
    assert store.appends == [2]


async def test_a_stream_is_kept_as_a_snapshot_every_so_many_events() -> None:
    store = WatchedStore(MemoryStore())
    async with recording(store, group=100) as recorder:
        await recorder.record(said(hello("ann"), report_id="r-0"))
        count = 2 * SNAPSHOT_EVERY + 50
        await say(recorder, *(said(status("ann", n), report_id=f"r-{n}") for n in range(1, count)))
        await until(lambda: len(store.kept) == 2, "two snapshots")
    (_, first), (_, second) = store.kept
    assert SNAPSHOT_EVERY <= first < SNAPSHOT_EVERY + 100
    assert first + SNAPSHOT_EVERY <= second < first + SNAPSHOT_EVERY + 100


async def test_a_large_run_is_kept_after_as_many_events_as_it_has_tasks() -> None:
    store = WatchedStore(MemoryStore())
    size = SNAPSHOT_EVERY + 100
    chain = [task("t0"), *(task(f"t{n}", f"t{n - 1}") for n in range(1, size))]
    async with recording(store, group=1) as recorder:
        await recorder.record(said(requested(*chain), report_id="run"))
        for number in range(220):
            await recorder.record(said(completed(f"t{number}"), report_id=f"r-{number}"))
        await until(lambda: len(store.kept) == 1, "one snapshot")
    # Two events begin the run, and three follow from each result.
    assert size <= store.kept[0][1] < size + 3
