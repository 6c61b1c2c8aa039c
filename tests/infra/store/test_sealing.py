"""What is personal in the log is read with its key, by every way to it, in its own place alone."""

from dataclasses import replace

import psycopg
import pytest

from domain.policies import Event
from domain.recorded import Recorded
from domain.runs_of_plans import execution_of, planning_run_of, replanning_run_of
from infra.store.kek import Kek
from infra.store.keyring import WrongKek
from infra.store.mapping import CorruptEvent
from infra.store.sealing import root_of
from infra.store.store import PostgresStore
from tests.support.canaries import a_goal, logged

KEK = Kek(bytes(range(32)))
PLAN = "plan_01a2-85bd"


@pytest.fixture
def goal() -> Recorded[Event]:
    return a_goal()


async def test_what_is_personal_is_read_with_the_key_alone(
    database: str, goal: Recorded[Event]
) -> None:
    async with PostgresStore(database, kek=KEK) as store:
        await store.append([goal])
    assert not logged(database, b"Secret")
    async with PostgresStore(database, kek=KEK) as store:
        assert (await store.read("plan_7"))[0].event == goal.event
    async with PostgresStore(database) as stranger:
        assert (await stranger.load("plan_7"))[0].goal.title == "[forgotten]"
    async with PostgresStore(database, kek=Kek(bytes(32))) as other:
        with pytest.raises(WrongKek, match="TASKLOOM_KEYS__KEK_FILE"):
            await other.read("plan_7")


async def test_every_way_to_read_the_log_has_what_is_personal(
    database: str, goal: Recorded[Event]
) -> None:
    async with PostgresStore(database, kek=KEK) as writer:
        await writer.append([goal])
    async with PostgresStore(database, kek=KEK) as store:
        ways = {
            "read": await store.read("plan_7"),
            "read_all": await store.read_all(after=0, limit=9),
            "read_at": await store.read_at([1]),
            "read_stream": await store.read_stream("plan_7", after=0, limit=9),
            "read_types": await store.read_types(["plan.created"], after=0, up_to=9),
        }
    told = {way: [one.event for one in read] for way, read in ways.items()}
    assert told == {way: [goal.event] for way in ways}


@pytest.mark.parametrize(
    "run_id",
    [
        execution_of(PLAN, 1),
        execution_of(PLAN, 12),
        planning_run_of(PLAN),
        replanning_run_of(PLAN, 1),
    ],
)
def test_every_run_of_a_plan_belongs_to_whom_the_plan_belongs(
    goal: Recorded[Event], run_id: str
) -> None:
    assert root_of(replace(goal, stream=run_id)) == PLAN


def test_a_run_without_a_plan_belongs_to_nobody_elses(goal: Recorded[Event]) -> None:
    run_id = "exec_01a2f4c4-85bd-7c3a-9d2e-123456789012"
    assert root_of(replace(goal, stream=run_id)) == run_id


async def test_what_was_encrypted_for_one_event_is_not_read_in_another(
    database: str, goal: Recorded[Event]
) -> None:
    moved = replace(
        goal, stream="plan_8", event=goal.event.model_copy(update={"plan_id": "plan_8"})
    )
    async with PostgresStore(database, kek=KEK) as store:
        await store.append([goal, moved])
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("alter table events disable trigger user")
            connection.execute(
                "update events e set state = o.state from events o"
                " where e.originator_id = 'plan_8' and o.originator_id = 'plan_7'"
            )
        with pytest.raises(CorruptEvent, match="not encrypted for this place"):
            await store.read("plan_8")
