"""Dead letters are sent again: each is recorded once, dies at most once, and is no stranger."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import orjson
import psycopg
import pytest

from bus.dead_letters import REDRIVE
from bus.letters import (
    CannotBeSentAgain,
    Chosen,
    Edit,
    LetterDecided,
    NoSuchLetters,
    UnknownDeadLetter,
)
from bus.ports import SystemClock
from bus.redriver import Redriver
from bus.redrives import Redrive, Wish
from bus.topology import DEAD, EVENTS, WORK
from infra.store.redrives import RedriveTable
from infra.store.store import DatabaseUnavailable
from tests.support.buried import EVERY, House, a_house, goodbye, hello


@pytest.fixture
async def house(database: str, vhost_url: str) -> AsyncIterator[House]:
    async with a_house(database, vhost_url) as opened:
        yield opened


@pytest.fixture
async def still_house(database: str, vhost_url: str) -> AsyncIterator[House]:
    """A house in which nobody carries redrives out."""
    async with a_house(database, vhost_url, has_redriver=False) as opened:
        yield opened


def names(count: int) -> Sequence[str]:
    return [f"a{number:03}" for number in range(count)]


async def test_a_letter_whose_time_has_come_is_accepted(house: House) -> None:
    await house.say(goodbye("ann"))
    (letter,) = await house.until_dead(1)
    assert (letter.status, letter.reason, letter.shape) == (
        "kept",
        "unknown-agent",
        "no agent {agent_id} has registered; report agent.registered first",
    )
    await house.say(hello("ann"))
    await house.until_recorded("agent.registered", 1)
    redrive = await house.redrive(Wish(why="ann is there now"))
    assert (redrive.status, redrive.fates.claimed, redrive.fates.accepted) == ("completed", 1, 1)
    (event,) = await house.until_recorded("agent.deregistered", 1)
    assert event.causation_id == letter.message_id
    kept = await house.letters.show(letter.id)
    assert (kept.letter.status, kept.letter.redrives, kept.letter.deaths) == ("accepted", 1, 1)
    died, redriven, accepted = kept.entries
    assert (died.kind, died.reason) == ("died", "unknown-agent")
    assert (redriven.kind, redriven.actor, redriven.why) == (
        "redriven",
        "users/ada",
        "ann is there now",
    )
    assert (accepted.kind, accepted.position) == ("accepted", event.position)
    with pytest.raises(LetterDecided):
        await house.redrives.ask(Wish(chosen=Chosen(ids=(letter.id,))), actor="users/bob")
    with pytest.raises(NoSuchLetters):
        await house.redrives.ask(Wish(), actor="users/bob")


async def test_a_letter_that_dies_again_is_the_same_letter(house: House) -> None:
    await house.say(goodbye("ann"), goodbye("bob"))
    ann, _ = await house.until_dead(2)
    for times in (1, 2):
        redrive = await house.redrive(Wish(chosen=Chosen(ids=(ann.id,))))
        assert (redrive.fates.died, redrive.fates.claimed) == (1, 1)
        letters = await house.until_dead(2)
        assert [letter.message_id for letter in letters] == [
            "agent.deregistered-ann",
            "agent.deregistered-bob",
        ]
        assert (letters[0].status, letters[0].deaths, letters[0].redrives) == (
            "kept",
            times + 1,
            times,
        )
    assert await house.kinds(ann.id) == ["died", "redriven", "died", "redriven", "died"]
    assert letters[0].first_died_at == ann.first_died_at < letters[0].died_at


async def test_however_often_a_letter_dies_of_one_redrive_it_died_once(house: House) -> None:
    await house.say(goodbye("ann"))
    (letter,) = await house.until_dead(1)
    await house.redrive()
    again = {REDRIVE: f"{letter.id}/1"}
    await house.say(goodbye("ann"), goodbye("ann"), headers=again)
    await house.say(goodbye("zoe"))
    await house.until_dead(2)
    assert await house.kinds(letter.id) == ["died", "redriven", "died"]


async def test_who_claims_to_be_a_letter_and_says_something_else_is_a_stranger(
    house: House,
) -> None:
    await house.say(goodbye("ann"))
    (letter,) = await house.until_dead(1)
    await house.say(goodbye("eve"), headers={REDRIVE: f"{letter.id}/1"})
    await house.say(goodbye("eve"), headers={REDRIVE: "999/1"})
    await house.say(goodbye("eve"), headers={REDRIVE: "17/0; drop table"})
    letters = await house.until_dead(4)
    assert [one.deaths for one in letters] == [1, 1, 1, 1]


async def test_two_operators_at_once_send_each_letter_once(still_house: House) -> None:
    house, everybody = still_house, names(90)
    await house.say(*map(goodbye, everybody))
    await house.until_dead(90)
    await house.say(*map(hello, everybody))
    await house.until_recorded("agent.registered", 90)
    redrives = [await house.redrives.ask(Wish(), actor=f"users/{n}") for n in "ab"]
    redrivers = [Redriver(house.redrives, house.sender, house.store, SystemClock()) for _ in "ab"]
    await asyncio.gather(
        *(
            redriver.carry_out(redrive)
            for redriver, redrive in zip(redrivers, redrives, strict=True)
        )
    )
    ended = [await house.ended(redrive) for redrive in redrives]
    assert sum(redrive.fates.claimed for redrive in ended) == 90
    assert sum(redrive.fates.accepted for redrive in ended) == 90
    assert len(await house.until_recorded("agent.deregistered", 90)) == 90
    letters = await house.letters.some(EVERY, limit=200)
    assert {(letter.status, letter.redrives) for letter in letters} == {("accepted", 1)}


async def test_one_redrive_that_two_carry_out_is_recorded_once(still_house: House) -> None:
    house, everybody = still_house, names(60)
    await house.say(*map(goodbye, everybody))
    await house.until_dead(60)
    await house.say(*map(hello, everybody))
    await house.until_recorded("agent.registered", 60)
    redrive = await house.redrives.ask(Wish(rate=100), actor="users/ada")
    redrivers = [Redriver(house.redrives, house.sender, house.store, SystemClock()) for _ in "ab"]
    await asyncio.gather(*(redriver.carry_out(redrive) for redriver in redrivers))
    ended = await house.ended(redrive)
    assert (ended.fates.claimed, ended.fates.accepted) == (60, 60)
    assert len(await house.until_recorded("agent.deregistered", 60)) == 60


class Dying(RedriveTable):
    """Fails after letters were published and before they are marked, as a crash would."""

    is_dead = True

    async def sent(self, redrive: int, letters: Sequence[int]) -> None:
        if self.is_dead:
            raise DatabaseUnavailable(OSError("killed"))
        await super().sent(redrive, letters)


async def test_what_was_published_and_not_marked_is_sent_again_and_recorded_once(
    still_house: House,
) -> None:
    house, everybody = still_house, names(30)
    await house.say(*map(goodbye, everybody))
    await house.until_dead(30)
    await house.say(*map(hello, everybody[:20]))
    await house.until_recorded("agent.registered", 20)
    redrive = await house.redrives.ask(Wish(), actor="users/ada")
    claims = Dying(house.redrives._pool)
    with pytest.raises(DatabaseUnavailable):
        await Redriver(claims, house.sender, house.store, SystemClock()).carry_out(redrive)
    (left,) = await house.redrives.under_way()
    assert (left.status, left.fates.claimed) == ("running", 30)
    claims.is_dead = False
    await Redriver(claims, house.sender, house.store, SystemClock()).carry_out(left)
    ended = await house.ended(redrive)
    assert (ended.fates.claimed, ended.fates.accepted, ended.fates.died) == (30, 20, 10)
    assert len(await house.until_recorded("agent.deregistered", 20)) == 20
    assert await house.letters.count(EVERY) == 30
    assert await house.redrives.under_way() == []


async def test_a_canary_that_dies_halts_the_redrive(house: House) -> None:
    await house.say(*map(goodbye, names(20)))
    await house.until_dead(20)
    await house.say(*map(hello, names(2)))
    await house.until_recorded("agent.registered", 2)
    redrive = await house.redrive(Wish(canary=3))
    assert (redrive.status, redrive.fates.claimed) == ("halted", 3)
    assert (redrive.fates.accepted, redrive.fates.died) == (2, 1)
    assert redrive.outcome == "1 of the first 3 died again"
    assert await house.letters.count() == 18


async def test_a_canary_that_lives_is_followed_by_the_rest(house: House) -> None:
    await house.say(*map(goodbye, names(20)))
    await house.until_dead(20)
    await house.say(*map(hello, names(20)))
    await house.until_recorded("agent.registered", 20)
    redrive = await house.redrive(Wish(canary=3, rate=200))
    assert (redrive.status, redrive.fates.accepted) == ("completed", 20)


async def test_a_canary_without_an_answer_halts_the_redrive(database: str, vhost_url: str) -> None:
    async with a_house(database, vhost_url, patience=0.5) as house:
        # Nobody in this house takes work, so nobody answers.
        await house.broker.tell(
            DEAD,
            "execution.noop.normal",
            b"work",
            message_id="w",
            headers={
                "x-taskloom-reason": "odd",
                "x-taskloom-exchange": WORK,
                "x-taskloom-key": "execution.noop.normal",
            },
        )
        await house.until_dead(1)
        asked = await house.redrives.ask(Wish(canary=1), actor="users/ada")

        async def is_halted() -> bool:
            return (await house.redrives.show(asked.id)).status == "halted"

        await house.until(is_halted, "it is halted")
        redrive = await house.redrives.show(asked.id)
        assert "no answer within 0.5 s" in redrive.outcome


async def test_only_what_would_be_accepted_is_sent(house: House) -> None:
    await house.say(*map(goodbye, names(20)))
    await house.until_dead(20)
    await house.say(*map(hello, names(15)))
    await house.until_recorded("agent.registered", 15)
    redrive = await house.redrive(Wish(only_accepted=True))
    assert redrive.status == "completed"
    assert (redrive.fates.claimed, redrive.fates.accepted, redrive.fates.skipped) == (15, 15, 5)
    left = await house.letters.some()
    assert {(letter.deaths, letter.redrives) for letter in left} == {(1, 0)}


async def test_a_rate_is_kept(house: House) -> None:
    await house.say(*map(goodbye, names(20)))
    await house.until_dead(20)
    began = time.monotonic()
    redrive = await house.redrive(Wish(rate=20))
    assert redrive.fates.claimed == 20
    assert time.monotonic() - began > 0.9


async def test_what_is_cancelled_goes_no_further(house: House) -> None:
    await house.say(*map(goodbye, names(30)))
    await house.until_dead(30)
    asked = await house.redrives.ask(Wish(rate=5), actor="users/ada")

    async def has_begun() -> bool:
        return (await house.redrives.show(asked.id)).fates.claimed > 0

    await house.until(has_begun, "it has begun")
    await house.redrives.end(asked.id, "cancelled")
    ended = await house.ended(asked)
    assert ended.status == "cancelled"
    await asyncio.sleep(1)
    assert (await house.redrives.show(asked.id)).fates.claimed <= ended.fates.claimed + 1 < 30


async def test_a_letter_that_is_edited_says_what_it_should_have_said(house: House) -> None:
    await house.say(hello("ann"))
    wrong = goodbye("ann") | {"data": {"agent_id": "ann", "colour": "red"}}
    await house.say(wrong, content_type="text/plain")
    (letter,) = await house.until_dead(1)
    right = orjson.dumps(goodbye("ann"))
    edited = await house.letters.edit(
        letter.id,
        Edit(body=right, content_type="application/cloudevents+json", edits=0),
        actor="users/ada",
        why="no colours",
    )
    assert (edited.body, edited.content, edited.edits) == (letter.body, right, 1)
    redrive = await house.redrive()
    assert redrive.fates.accepted == 1
    history = await house.letters.show(letter.id)
    assert [entry.kind for entry in history.entries] == [
        "died",
        "edited",
        "redriven",
        "accepted",
    ]
    assert history.entries[1].diff == [
        'content_type: "text/plain" → "application/cloudevents+json"',
        '- /data/colour: "red"',
    ]
    with pytest.raises(LetterDecided):
        await house.letters.edit(letter.id, Edit(body=b"x"), actor="users/ada", why="")


async def test_what_is_discarded_can_be_taken_back(house: House) -> None:
    await house.say(*map(goodbye, names(3)))
    first, *_ = await house.until_dead(3)
    gone = await house.letters.discard(EVERY, actor="users/ada", why="a test", limit=2)
    assert gone == 2
    assert [line.status for line in await house.letters.list(EVERY)] == [
        "kept",
        "discarded",
        "discarded",
    ]
    redrive = await house.redrive()
    assert redrive.fates.claimed == 1
    redrive = await house.redrive(Wish(chosen=Chosen(ids=(first.id,))))
    assert redrive.fates.died == 1
    assert await house.kinds(first.id) == ["died", "discarded", "redriven", "died"]


async def test_work_that_no_queue_takes_is_kept_again(house: House) -> None:
    await house.broker.tell(
        DEAD,
        "execution.ghost.normal",
        b"work",
        message_id="w",
        headers={
            "x-taskloom-reason": "odd",
            "x-taskloom-exchange": WORK,
            "x-taskloom-key": "execution.ghost.normal",
        },
    )
    (letter,) = await house.until_dead(1)
    redrive = await house.redrive()
    assert (redrive.status, redrive.fates.returned) == ("completed", 1)
    assert await house.kinds(letter.id) == ["died", "redriven", "returned"]
    assert (await house.letters.show(letter.id)).letter.status == "kept"


async def test_what_everybody_would_hear_again_is_not_sent_again(house: House) -> None:
    headers = {"x-taskloom-reason": "odd", "x-taskloom-exchange": EVENTS}
    await house.broker.tell(DEAD, "plan.ready", b"{}", headers={**headers})
    await house.say(goodbye("ann"))
    letters = await house.until_dead(2)
    event = next(letter for letter in letters if letter.exchange == EVENTS)
    with pytest.raises(CannotBeSentAgain):
        await house.redrives.ask(Wish(chosen=Chosen(ids=(event.id,))), actor="users/ada")
    with pytest.raises(UnknownDeadLetter):
        await house.redrives.ask(Wish(chosen=Chosen(ids=(999,))), actor="users/ada")
    redrive = await house.redrive()
    assert (redrive.fates.total, redrive.fates.claimed) == (1, 1)


async def test_a_wish_that_is_said_twice_is_carried_out_once(still_house: House) -> None:
    house = still_house
    await house.say(*map(goodbye, names(2)))
    await house.until_dead(2)
    first = await house.redrives.ask(Wish(), actor="users/ada", key="k")
    assert await house.redrives.ask(Wish(), actor="users/ada", key="k") == first
    second: Redrive = await house.redrives.ask(Wish(), actor="users/ada")
    assert [one.id for one in await house.redrives.list()] == [second.id, first.id]
    assert [one.id for one in await house.redrives.list(before=second.id)] == [first.id]


async def test_letters_and_their_history_can_be_neither_changed_nor_deleted(
    house: House, database: str
) -> None:
    await house.say(goodbye("ann"))
    await house.until_dead(1)
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in (
            "delete from dead_letters",
            "truncate dead_letters cascade",
            "update dead_letters set body = ''",
            "update dead_letters set message_id = 'another'",
            "delete from dead_letter_history",
            "update dead_letter_history set actor = 'nobody'",
        ):
            with pytest.raises(psycopg.errors.RestrictViolation):
                connection.execute(statement)
