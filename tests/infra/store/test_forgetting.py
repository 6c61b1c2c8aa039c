"""Somebody is forgotten: what they said is found nowhere, and everything else goes on."""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from bus.dead_letter_keeper import DeadLetter
from domain.goals import Options
from domain.personal import personal_paths
from domain.plan import (
    GoalSubmitted,
    PlanCancelled,
    PlanCancelRequested,
    PlanCreated,
    PlanFailed,
)
from domain.policies import Event
from domain.recorded import Recorded
from infra.audit.database import DatabaseSource
from infra.audit.verifying import verify
from infra.cli.formats.exports import write
from infra.cli.log import events_of
from infra.migrations import upgrade
from infra.store.dead_letters import DeadLetterTable
from infra.store.forgetting import NobodyKnown, StillAtWork, forget
from infra.store.kek import Kek
from infra.store.sealing import root_of
from infra.store.store import PostgresStore
from projections.catalog import VIEWS
from projections.postgres import PostgresViews
from projections.rebuild import verify as fold_again
from projections.runner import Runner
from tests.support.canaries import ADA, BOB, a_goal, a_past, canary, logged
from tests.support.databases import fresh_database, private_cluster
from tests.support.ground import Ground
from tests.support.making import after, requested, task
from tests.support.recorders import recording
from tests.support.recording import hello, recorded, said
from tests.support.scenario import NOW
from tests.support.sealed import sealer
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)

KEK = Kek(bytes(range(32)))


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A cluster of our own, and where its files are."""

    dsn: str
    folder: Path


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    ground = Ground()
    try:
        dsn = private_cluster(ground)
        upgrade(dsn)
        with psycopg.connect(dsn) as connection:
            row = connection.execute("show data_directory").fetchone()
        assert row is not None
        yield House(dsn=dsn, folder=Path(row[0]))
    finally:
        ground.close()


@pytest.fixture
def database(house: House) -> Iterator[str]:
    """The connection URL of a database beside it: forgetting rewrites what all of them share."""
    with fresh_database(house.dsn) as dsn:
        upgrade(dsn)
        yield dsn


def files_with(folder: Path, word: bytes) -> list[str]:
    found: list[str] = []
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place) / name
            if file.is_file() and word in file.read_bytes():
                found.append(str(file.relative_to(folder)))
    return found


async def caught_up(pool: AsyncConnectionPool, store: PostgresStore) -> None:
    runner = Runner(views=VIEWS, log=store.log(), store=PostgresViews(pool))
    await runner.prepare()
    await runner.catch_up()
    assert not any(followed.has_stopped for followed in runner.followed)


def a_letter(stream: str, song: str) -> DeadLetter:
    body = orjson.dumps({"type": "goal.submitted", "data": {"plan_id": stream, "goal": song}})
    return DeadLetter(
        message_id=f"letter-{stream}",
        reason="malformed",
        detail="it is not what it should be",
        exchange="taskloom.reports",
        routing_key="goal.submitted",
        queue="taskloom.reports",
        headers={},
        properties={},
        body=body,
        died_at=NOW,
        type="goal.submitted",
        shape="it is not what it should be",
        is_redelivered=False,
        earlier=None,
    )


async def test_canaries_in_every_personal_field_are_found_nowhere(
    house: House, tmp_path: Path
) -> None:
    past, owners = a_past()
    ada, bob = canary(ADA).encode(), canary(BOB).encode()
    async with (
        PostgresStore(house.dsn, kek=KEK) as store,
        AsyncConnectionPool(house.dsn, kwargs={"autocommit": True}, open=False) as pool,
        sealer(house.dsn, tmp_path) as (made, _),
    ):
        for start in range(0, len(past), 100):
            await store.append(past[start : start + 100])
        assert [event.event for event in await everything(store)] == [one.event for one in past]
        await caught_up(pool, store)
        while await made.seal():
            pass
        for stream in {event.stream for event in past}:
            state, version = await store.load(stream)
            await store.keep(stream, state, version)
        letters = DeadLetterTable(pool)
        await letters.keep([a_letter(plan, canary(owner)) for plan, owner in owners.items()])
        with psycopg.connect(house.dsn, autocommit=True) as connection:
            connection.execute(
                "insert into identity.users (user_id, login, name, password, role, created_at)"
                " select who, song, song, '!', 'user', now() from unnest(array['ada', 'bob']) who,"
                " concat('canary-of-', who, '-sings') song"
            )
            connection.execute("analyze")
            connection.execute("checkpoint")
            wrapped = connection.execute(
                "select wrapped from keys.data_keys where subject = %s", [ADA]
            ).fetchone()
            assert wrapped is not None
        assert files_with(house.folder, ada)
        assert files_with(house.folder, wrapped[0])
        assert not any(logged(house.dsn, one) for one in (ada, bob)), "the log has it in the clear"

        done = await forget(ADA, actor="users/operator", store=store, pool=pool)

        assert done.streams > 0
        assert done.letters == sum(owner == ADA for owner in owners.values())
        assert files_with(house.folder, ada) == []
        assert files_with(house.folder, wrapped[0]) == []
        assert files_with(house.folder, bob)
        for event in await everything(store):
            owner = owners.get(root_of(event))
            words = repr(event.event)
            assert canary(ADA) not in words
            if owner is None or not personal_paths(type(event.event)):
                continue
            before = next(
                one for one in past if (one.stream, one.version) == (event.stream, event.version)
            )
            if owner == BOB:
                assert event.event == before.event
            elif canary(ADA) in repr(before.event):
                assert event.event != before.event
        await caught_up(pool, store)
        for view in VIEWS:
            assert (await fold_again(view, log=store.log(), pool=pool)).is_right, view.name
        assert write(tmp_path / "export.jsonl", await everything(store)) == len(past)
        exported = (tmp_path / "export.jsonl").read_bytes()
        assert ada not in exported
        assert b"[forgotten]" in exported
        assert bob in exported
        with psycopg.connect(house.dsn) as connection:
            left = connection.execute("select user_id from identity.users").fetchall()
            assert left == [("bob",)]
        with pytest.raises(NobodyKnown):
            await forget(ADA, actor="users/operator", store=store, pool=pool)
    with psycopg.connect(house.dsn, autocommit=True) as connection:
        finding = verify(DatabaseSource(connection))
    assert finding.is_right
    assert finding.sealed.unsealed == 0


async def everything(store: PostgresStore) -> list[Recorded[Event]]:
    return [event async for event in events_of(store.log())]


@pytest.fixture
def goal() -> Recorded[Event]:
    return a_goal()


async def test_whose_plan_is_carried_out_is_not_forgotten(
    database: str, goal: Recorded[Event]
) -> None:
    async with (
        PostgresStore(database, kek=KEK) as store,
        AsyncConnectionPool(database, kwargs={"autocommit": True}, open=False) as pool,
    ):
        await store.append([goal])
        with pytest.raises(StillAtWork, match="plan_7 has not ended"):
            await forget(ADA, actor="users/operator", store=store, pool=pool)
        assert (await store.load("plan_7"))[0].goal.title == "Secret"


async def test_what_others_do_is_not_hers_because_its_name_begins_like_hers(
    database: str, goal: Recorded[Event]
) -> None:
    over = replace(goal, version=2, event=PlanCancelled(plan_id="plan_7", reason="no", runs=()))
    run = requested(task("a"), run_id="exec_7-b-1", plan_id="plan_7-b")
    his = [
        replace(recorded(run.run_id, version, event), actor=BOB)
        for version, event in enumerate(after(run), start=1)
    ]
    async with (
        PostgresStore(database, kek=KEK) as store,
        AsyncConnectionPool(database, kwargs={"autocommit": True}, open=False) as pool,
    ):
        await store.append([goal, over, *his])
        done = await forget(ADA, actor="users/operator", store=store, pool=pool)
        assert done.streams == 1
        assert [one.event for one in await store.read(run.run_id)] == [*after(run)]


async def test_who_comes_back_has_another_key(database: str, goal: Recorded[Event]) -> None:
    late = replace(
        goal, version=3, event=PlanFailed(plan_id="plan_7", run_id=None, reason="Secret")
    )
    over = replace(late, version=2, event=PlanCancelled(plan_id="plan_7", reason="no", runs=()))
    anew = replace(goal, stream="plan_9", event=goal.event.model_copy(update={"plan_id": "plan_9"}))
    async with (
        PostgresStore(database, kek=KEK) as store,
        AsyncConnectionPool(database, kwargs={"autocommit": True}, open=False) as pool,
    ):
        await store.append([goal, over])
        await forget(ADA, actor="users/operator", store=store, pool=pool)
        await store.append([late, anew])
        (kept,) = await store.read("plan_7", after=2)
        assert kept.event == late.event.model_copy(update={"reason": "[forgotten]"})
        assert (await store.read("plan_9"))[0].event == anew.event
        assert (await store.read_all(after=0, limit=9))[-2].event == kept.event


async def test_a_recorder_forgets_the_states_that_it_knew(
    database: str, goal: Recorded[Event]
) -> None:
    async with (
        PostgresStore(database, kek=KEK) as writer,
        PostgresStore(database, kek=KEK) as store,
        AsyncConnectionPool(database, kwargs={"autocommit": True}, open=False) as pool,
        recording(writer) as recorder,
    ):
        writer.when_forgotten(recorder.forget)
        event = goal.event
        assert isinstance(event, PlanCreated)
        submitted = GoalSubmitted(plan_id="plan_7", goal=event.goal, options=Options())
        await recorder.record(replace(said(submitted, report_id="r-1"), actor=ADA))
        enough = PlanCancelRequested(plan_id="plan_7", reason="enough")
        await recorder.record(replace(said(enough, report_id="r-2"), actor=ADA))
        known = recorder._states._known
        assert known["plan_7"].state.goal.title == "Secret"
        await forget(ADA, actor="users/operator", store=store, pool=pool)
        await until(lambda: recorder._is_to_forget, "it has heard of it")
        await recorder.record(said(hello("ann"), report_id="r-3"))
        assert set(known) == {"agent:ann"}


async def test_every_process_forgets_within_seconds(database: str, goal: Recorded[Event]) -> None:
    over = replace(goal, version=2, event=PlanCancelled(plan_id="plan_7", reason="no", runs=()))
    async with (
        PostgresStore(database, kek=KEK) as writer,
        PostgresStore(database, kek=KEK) as store,
        AsyncConnectionPool(database, kwargs={"autocommit": True}, open=False) as pool,
    ):
        await writer.append([goal, over])
        assert "Secret" in repr(await writer.read_all(after=0, limit=9))
        await forget(ADA, actor="users/operator", store=store, pool=pool)
        async with asyncio.timeout(20):
            while "Secret" in repr(await writer.read_all(after=0, limit=9)):  # noqa: ASYNC110 # it hears of it
                await asyncio.sleep(0.05)
