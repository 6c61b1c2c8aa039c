"""Which attempts are lost with their agents, and which work never arrived."""

from datetime import timedelta

import pytest

from domain.leases import ANYBODY, Attempt, AttemptKey, Sightings, is_lost, is_owed
from tests.support.scenario import NOW

LEASE = timedelta(seconds=10)
LONG_AGO = NOW - timedelta(hours=1)
JUST_NOW = NOW - timedelta(seconds=9)


def ago(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def attempt(**changes: object) -> Attempt:
    known: dict[str, object] = {
        "run_id": "exec_1",
        "task_id": "a",
        "epoch": 1,
        "state": "started",
        "since": LONG_AGO,
        "agent_id": "ann",
        "agent_type": "CAD",
        "role": "execution",
        "lane": "normal",
        "delay": 0,
        "position": 7,
    }
    return Attempt(**(known | changes))  # type: ignore[arg-type] # the names are checked at once


def seen(
    agent: timedelta | None = None,
    named: timedelta | None = None,
    since: timedelta = timedelta(hours=1),
    namer: str = "ann",
) -> Sightings:
    """Return what was heard of ann and her attempt, so long ago."""
    attempts: dict[AttemptKey, object] = {}
    if named is not None:
        attempts = {("exec_1", "a", 1, by): NOW - named for by in (namer, ANYBODY)}
    return Sightings(
        since=NOW - since,
        agents={} if agent is None else {"ann": NOW - agent},
        attempts=attempts,  # type: ignore[arg-type] # they are times
    )


def judged(of: Attempt, sightings: Sightings, *, has_backlog: bool = False) -> str:
    if of.state == "dispatched":
        return "owed" if is_owed(of, sightings, NOW, patience=LEASE) else "fine"
    is_gone = is_lost(of, sightings, NOW, lease=LEASE, has_backlog=has_backlog)
    return "lost" if is_gone else "fine"


@pytest.mark.parametrize(("seconds", "expected"), [(10, "fine"), (10.001, "lost")])
def test_a_started_attempt_is_lost_when_nobody_names_it_for_longer_than_a_lease(
    seconds: float, expected: str
) -> None:
    assert judged(attempt(), seen(agent=ago(0), named=ago(seconds))) == expected
    assert judged(attempt(since=NOW - ago(seconds)), seen()) == expected


def test_an_agent_that_lives_but_does_not_name_an_attempt_has_lost_it() -> None:
    assert judged(attempt(), seen(agent=ago(0))) == "lost"


def test_a_living_agent_is_believed_while_reports_wait_to_be_recorded() -> None:
    assert judged(attempt(), seen(agent=ago(10)), has_backlog=True) == "fine"
    assert judged(attempt(), seen(agent=ago(11)), has_backlog=True) == "lost"
    assert judged(attempt(), seen(), has_backlog=True) == "lost"


def test_whoever_has_just_begun_to_listen_waits_a_lease_before_it_judges() -> None:
    assert judged(attempt(), seen(since=ago(9))) == "fine"
    assert judged(attempt(), seen(since=ago(11))) == "lost"
    assert judged(attempt(state="dispatched", agent_id=None), seen(since=ago(9))) == "fine"


def test_work_that_nobody_took_for_a_lease_is_owed() -> None:
    waiting = attempt(state="dispatched", agent_id=None)
    assert judged(waiting, seen()) == "owed"
    assert judged(attempt(state="dispatched", since=JUST_NOW), seen()) == "fine"


def test_work_that_has_to_wait_is_given_its_delay() -> None:
    def waiting(seconds: float) -> Attempt:
        return attempt(state="dispatched", delay=16, since=NOW - ago(seconds))

    assert judged(waiting(26), seen()) == "fine"
    assert judged(waiting(26.001), seen()) == "owed"


def test_what_was_done_about_an_attempt_gives_it_another_lease() -> None:
    waiting = attempt(state="dispatched")
    assert judged(waiting, seen(named=ago(9))) == "fine"
    assert judged(waiting, seen(named=ago(11))) == "owed"


def test_another_agent_does_not_keep_the_lease_of_a_holder_that_is_gone() -> None:
    assert judged(attempt(), seen(named=ago(1), namer="bob")) == "lost"
    assert judged(attempt(), seen(named=ago(1))) == "fine"


def test_each_attempt_is_judged_on_its_own() -> None:
    attempts = [attempt(task_id=name) for name in "abc"]
    sightings = Sightings(since=LONG_AGO, agents={}, attempts={("exec_1", "b", 1, "ann"): NOW})
    gone = [each.task_id for each in attempts if judged(each, sightings) == "lost"]
    assert gone == ["a", "c"]


def test_an_attempt_is_named_by_run_task_and_epoch() -> None:
    assert attempt(epoch=3).key == ("exec_1", "a", 3, "ann")
    assert attempt().kind == ("execution", "CAD", "normal")
