"""When a circuit opens, half-opens and closes."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.circuits import Circuit, Fuse, cooled, failed, let_through, succeeded
from tests.support.scenario import NOW

FUSE = Fuse(window=30, least_failures=4, share=0.5, cool_down=16, longest=300)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def after(outcomes: str, circuit: Circuit | None = None, *, every: float = 0.0) -> Circuit:
    """Return a circuit after successes (``+``) and failures (``-``)."""
    circuit = circuit or Circuit()
    for number, outcome in enumerate(outcomes):
        now = at(number * every)
        if outcome == "+":
            circuit = succeeded(circuit, now, fuse=FUSE)
        else:
            circuit = failed(circuit, now, fuse=FUSE, why="no licence")
    return circuit


@pytest.mark.parametrize("outcomes", ["", "+", "---", "+++++----", "-+-+-+"])
def test_few_failures_or_a_small_share_of_them_open_nothing(outcomes: str) -> None:
    assert after(outcomes).state == "closed"


@pytest.mark.parametrize("outcomes", ["----", "++++----", "-+-+-+-"])
def test_enough_failures_that_are_half_of_all_open_it(outcomes: str) -> None:
    assert after(outcomes).state == "open"


def test_it_says_why_it_is_open_and_until_when() -> None:
    circuit = after("+----")
    assert circuit.reason == "4 of 5 attempts failed within 30 s; the last: no licence"
    assert (circuit.until, circuit.trips) == (at(16), 1)


def test_what_ended_before_the_window_does_not_count() -> None:
    assert after("----", every=11).state == "closed"
    assert after("----", every=9).state == "open"
    assert after("++++++++" + "----", every=10).state == "closed"


def test_memory_does_not_grow_with_what_is_counted() -> None:
    circuit = after("+" * 1_000, every=0.5)
    assert len(circuit.counts) == 10
    assert circuit.ended == pytest.approx(60, abs=6)


def test_a_clock_that_is_set_back_loses_nothing() -> None:
    circuit = after("--")
    circuit = failed(circuit, at(-3600), fuse=FUSE, why="")
    assert failed(circuit, at(-3599), fuse=FUSE, why="").state == "open"


def test_while_it_is_open_nothing_is_let_through_and_nothing_counts() -> None:
    circuit = after("----")
    assert let_through(circuit, at(15), fuse=FUSE) is None
    assert succeeded(circuit, at(1), fuse=FUSE) is circuit
    assert failed(circuit, at(1), fuse=FUSE, why="") is circuit


def test_after_the_cool_down_it_lets_one_probe_through_at_a_time() -> None:
    circuit = after("----")
    assert cooled(circuit, at(15.9)) is circuit
    assert cooled(circuit, at(16)).state == "half_open"
    probing = let_through(circuit, at(16), fuse=FUSE)
    assert probing is not None
    assert probing.state == "half_open"
    assert let_through(probing, at(20), fuse=FUSE) is None
    again = let_through(probing, at(32), fuse=FUSE)
    assert again is not None, "a probe that got lost does not block it for ever"


def test_a_probe_that_succeeds_closes_it() -> None:
    circuit = succeeded(cooled(after("----"), at(16)), at(17), fuse=FUSE)
    assert (circuit.state, circuit.ended, circuit.until) == ("closed", 0, None)


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_limit() -> None:
    circuit = after("----")
    now, pauses = at(0), list[float]()
    for _ in range(8):
        assert circuit.until is not None
        pauses.append((circuit.until - now).total_seconds())
        now = circuit.until
        circuit = failed(cooled(circuit, now), now, fuse=FUSE, why="still not")
    assert pauses == [16, 32, 64, 128, 256, 300, 300, 300]
    assert circuit.reason == "the probe failed: still not"


def test_one_that_opens_again_soon_after_it_closed_does_not_begin_anew() -> None:
    closed = succeeded(cooled(after("----"), at(16)), at(17), fuse=FUSE)
    soon = replace(closed, counts=after("---").counts)
    assert failed(soon, at(18), fuse=FUSE, why="").trips == 2
    late = closed
    for second in range(4):
        late = failed(late, at(400 + second), fuse=FUSE, why="")
    assert (late.state, late.trips) == ("open", 1)


def test_a_closed_circuit_lets_everything_through() -> None:
    circuit = after("+-")
    assert let_through(circuit, at(1), fuse=FUSE) is circuit


def test_a_long_reason_is_cut() -> None:
    circuit = Circuit()
    for _ in range(4):
        circuit = failed(circuit, NOW, fuse=FUSE, why="x" * 9_000)
    assert len(circuit.reason) == 1_000


@given(st.lists(st.tuples(st.sampled_from("+-?"), st.floats(0, 40)), max_size=100))
def test_it_is_open_only_until_a_known_time_and_never_beyond_the_longest(
    story: list[tuple[str, float]],
) -> None:
    circuit, now = Circuit(), NOW
    for what, pause in story:
        now += timedelta(seconds=pause)
        if what == "?":
            circuit = let_through(circuit, now, fuse=FUSE) or circuit
        elif what == "+":
            circuit = succeeded(circuit, now, fuse=FUSE)
        else:
            circuit = failed(circuit, now, fuse=FUSE, why="")
        assert (circuit.until is not None) == (circuit.state == "open")
        assert circuit.until is None or circuit.until - now <= timedelta(seconds=FUSE.longest)
