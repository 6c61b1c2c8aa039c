"""The rules of a breaker, one sentence each."""

from typing import Any

from domain.breaker import (
    Breaker,
    BreakerClosed,
    BreakerHalfOpened,
    BreakerOpened,
    breaker_stream,
    evolve,
)
from tests.support.scenario import NOW, given

KIND: dict[str, Any] = {"role": "execution", "agent_type": "CAD"}
OPENED = BreakerOpened(**KIND, reason="no licence", ended=9, failed=8, trips=1, until=NOW)
AGAIN = BreakerOpened(**KIND, reason="still not", ended=9, failed=9, trips=2, until=NOW)
HALF = BreakerHalfOpened(**KIND, trips=1)
CLOSED = BreakerClosed(**KIND, reason="the probe succeeded")


def test_a_breaker_opens_half_opens_and_closes() -> None:
    given().when(OPENED).then(OPENED)
    given(OPENED).when(HALF).then(HALF)
    given(OPENED, HALF).when(CLOSED).then(CLOSED)


def test_a_probe_that_fails_opens_it_again() -> None:
    given(OPENED, HALF).when(AGAIN).then(AGAIN)
    given(OPENED).when(AGAIN).then(AGAIN)  # where nobody could record that it half-opened


def test_what_another_coordinator_has_said_is_not_said_again() -> None:
    given(OPENED).when(OPENED).then()
    given(OPENED, HALF).when(HALF).then()
    given(OPENED, CLOSED).when(CLOSED).then()
    given().when(CLOSED).then()
    given().when(HALF).then()


def test_the_end_of_an_earlier_cool_down_does_not_mean_this_one() -> None:
    given(OPENED, HALF, AGAIN).when(HALF).then()


def test_a_breaker_may_be_closed_while_it_is_open() -> None:
    given(OPENED).when(CLOSED).then(CLOSED)


def test_a_breaker_remembers_how_often_it_opened_and_why() -> None:
    breaker = evolve(evolve(None, OPENED), HALF)
    assert breaker == Breaker(**KIND, state="half_open", reason="no licence", trips=1)
    assert evolve(breaker, CLOSED) == Breaker(**KIND, state="closed", trips=1)


def test_a_breaker_has_a_stream_for_each_role_of_a_type() -> None:
    assert breaker_stream("planning", "CAD") == "breaker:planning.CAD"
