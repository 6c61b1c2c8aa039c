"""The rehearsal says what would become of a letter, and what it says comes true."""

from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
import pytest

from bus.envelope import encode_recorded
from bus.letters import Chosen
from bus.ports import SystemClock
from bus.redrives import Wish
from bus.rehearsal import Rehearsal
from bus.topology import DEAD, EVENTS, WORK, work_key
from domain.policies import Event, reports_after
from domain.recorded import Recorded
from domain.run_events import TaskDispatched
from infra.chaos.letters import attempt, goal, task
from tests.support.buried import House, a_house, goodbye, hello
from tests.support.recorders import recording

Said = list[tuple[str, str]]
RUN = "exec_x-1"


@pytest.fixture
async def house(database: str, vhost_url: str) -> AsyncIterator[House]:
    async with a_house(database, vhost_url) as opened:
        yield opened


async def heard(house: House, chosen: Chosen | None = None) -> Said:
    letters = await house.letters.some(chosen)
    verdicts = await Rehearsal(house.store, SystemClock()).hear(letters)
    return [(verdict.answer, verdict.reason) for verdict in verdicts]


async def test_each_letter_has_the_verdict_that_the_recorder_would_give(house: House) -> None:
    await house.say(goodbye("ann"), goodbye("bob"))
    await house.say(goodbye("cid") | {"data": {"agent_id": "cid", "colour": "red"}})
    await house.say(hello("dan") | {"source": "/agents/eve"})
    await house.until_dead(4)
    await house.say(hello("ann"))
    await house.until_recorded("agent.registered", 1)
    before = await house.store.head()
    expected = [
        ("accepted", ""),
        ("refused", "unknown-agent"),
        ("refused", "schema"),
        ("refused", "identity-mismatch"),
    ]
    assert await heard(house) == expected
    assert await house.store.head() == before
    redrive = await house.redrive()
    assert (redrive.fates.accepted, redrive.fates.died) == (1, 3)


async def test_letters_are_heard_after_the_ones_before_them(house: House) -> None:
    # Both are wrong in what they are sent as, and right once that is repaired.
    for report in (hello("ann"), goodbye("ann"), goodbye("ann") | {"id": "again"}):
        await house.say(report, content_type="text/plain")
    letters = await house.until_dead(3)
    right = {"content_type": "application/cloudevents+json"}
    repaired = [replace(letter, edited=right) for letter in letters]
    rehearsal = Rehearsal(house.store, SystemClock(), most_parts=1)
    verdicts = await rehearsal.hear(repaired)
    assert [verdict.answer for verdict in verdicts] == ["accepted", "accepted", "repeated"]
    assert verdicts[0].detail == "leads to agent.registered"


async def bury(house: House, letter: Recorded[Event] | bytes, **origin: str) -> None:
    """Make something a dead letter, as an agent would."""
    body = letter if isinstance(letter, bytes) else encode_recorded(letter)
    told = {"exchange": WORK, "key": work_key("execution", "NOOP", "normal"), "reason": "odd"}
    headers: dict[str, object] = {
        f"x-taskloom-{name}": value for name, value in (told | origin).items()
    }
    await house.broker.tell(DEAD, "any", body, message_id="w", headers=headers)  # type: ignore[arg-type] # what AMQP has


async def test_work_is_wanted_as_long_as_nobody_has_taken_it(house: House) -> None:
    await house.say(goal("x", task("a")))
    await begin(house)
    (dispatched,) = await house.until_recorded("task.dispatched", 1)
    assert isinstance(dispatched.event, TaskDispatched)
    key = work_key("execution", "NOOP", dispatched.event.lane)
    await bury(house, dispatched, key=key)
    await bury(house, dispatched, key=work_key("execution", "CAD", dispatched.event.lane))
    await bury(house, b"{", key=key)
    await bury(house, b"{}", exchange=EVENTS)
    await house.until_dead(4)
    rest = [
        ("refused", "foreign-work"),
        ("refused", "malformed-json"),
        ("refused", "not-redrivable"),
    ]
    assert await heard(house) == [("accepted", ""), *rest]
    await house.say(attempt("task.started", run_id=RUN, task_id="a"))
    await house.until_recorded("task.started", 1)
    assert await heard(house) == [("ignored", ""), *rest]


async def begin(house: House) -> None:
    """Let the run of a plan begin: nobody in this house reacts to events."""
    (ready,) = await house.until_recorded("plan.ready", 1)
    async with recording(house.store) as recorder:
        for report in reports_after(ready):
            await recorder.record(report)
    await house.until_recorded("run.started", 1)


async def test_work_in_a_canary_is_accepted_when_an_agent_has_taken_it(house: House) -> None:
    await house.say(goal("x", task("a")))
    await begin(house)
    (dispatched,) = await house.until_recorded("task.dispatched", 1)
    assert isinstance(dispatched.event, TaskDispatched)
    await bury(house, dispatched, key=work_key("execution", "NOOP", dispatched.event.lane))
    await house.until_dead(1)
    asked = await house.redrives.ask(Wish(canary=1), actor="users/ada")

    async def is_sent() -> bool:
        return (await house.redrives.show(asked.id)).fates.claimed == 1

    await house.until(is_sent, "it is sent")
    await house.say(attempt("task.started", run_id=RUN, task_id="a"))
    ended = await house.ended(asked)
    assert (ended.status, ended.fates.accepted) == ("completed", 1)


async def test_what_killed_its_reader_is_not_tried(house: House) -> None:
    body = orjson.dumps(goodbye("ann"))
    await bury(house, body, exchange="taskloom.reports", reason="kills-its-reader")
    await house.until_dead(1)
    assert await heard(house) == [("refused", "kills-its-reader")]
