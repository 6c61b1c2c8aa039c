"""How an agent is judged: one sentence for each bound, and for what keeps it from flapping."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.agent import Health
from domain.health import SEVERITY, Bounds, Limits, Observed, Standing, judge
from tests.support.scenario import NOW

LEASE = timedelta(seconds=5)
LIMITS = Limits(cpu=Bounds(degraded=0.9), load=Bounds(degraded=0.95))
WELL = Observed(silence=timedelta(seconds=1))
HEALTHY = Standing(health="healthy", reason="heard again")
DEGRADED = Standing(health="degraded", reason="it was slow")
UNHEALTHY = Standing(health="unhealthy", reason="it failed")
OFFLINE = Standing(health="offline", reason="no heartbeat since 12:00:00 UTC")
MIB = 2**20


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def seen(**what: object) -> Observed:
    return replace(WELL, **what)  # type: ignore[arg-type] # by name


def look(
    observed: Observed, before: Standing | None, seconds: float = 0, limits: Limits = LIMITS
) -> Standing:
    return judge(observed, before, at(seconds), lease=LEASE, limits=limits)


def settled(
    observed: Observed, before: Standing | None = HEALTHY, limits: Limits = LIMITS
) -> Standing:
    """Return how an agent is held to be after it was seen like this for a minute."""
    standing = before
    for second in range(61):
        standing = look(observed, standing, second, limits)
    assert standing is not None
    return standing


def test_an_agent_that_is_heard_for_the_first_time_is_healthy() -> None:
    assert look(WELL, None) == HEALTHY


def test_an_agent_that_is_silent_for_longer_than_a_lease_is_offline_at_once() -> None:
    late = seen(silence=LEASE + timedelta(seconds=1))
    for before in (None, HEALTHY, DEGRADED, UNHEALTHY):
        standing = look(late, before, 7)
        assert standing.health == "offline"
        assert standing.reason == f"no heartbeat since {at(1):%H:%M:%S} UTC"
    assert look(seen(silence=LEASE), HEALTHY).health == "healthy"


def test_an_agent_that_stays_away_is_told_once_since_when() -> None:
    standing = look(seen(silence=timedelta(seconds=9)), None)
    assert look(seen(silence=timedelta(seconds=90)), standing, 81) is standing


def test_an_agent_that_comes_back_begins_anew() -> None:
    assert look(seen(faults=9, attempts=9), OFFLINE) == HEALTHY


@pytest.mark.parametrize(
    ("observed", "health", "reason"),
    [
        (seen(missed=0.31), "degraded", "31% of its heartbeats were missed"),
        (seen(missed=0.71), "unhealthy", "71% of its heartbeats were missed"),
        (seen(attempts=8, faults=3), "degraded", "3 of its last 8 attempts failed"),
        (seen(attempts=8, faults=5), "unhealthy", "5 of its last 8 attempts failed"),
        (
            seen(attempts=5, seconds=7.0, usual_seconds=2.0),
            "degraded",
            "its attempts take 3.5 times as long as usual for its type",
        ),
        (
            seen(attempts=5, seconds=21.0, usual_seconds=2.0),
            "unhealthy",
            "its attempts take 10.5 times as long as usual for its type",
        ),
        (seen(memory_bytes=1100 * MIB), "degraded", "it holds 1,100 MiB of memory"),
        (seen(memory_bytes=2100 * MIB), "unhealthy", "it holds 2,100 MiB of memory"),
        (seen(cpu=0.91), "degraded", "cpu is at 91%"),
        (seen(load=1.0), "degraded", "load is at 100%"),
        (seen(lacking=("erp",)), "degraded", "it lacks erp"),
    ],
    ids=str,
)
def test_what_is_beyond_a_bound_for_a_while_is_told_with_its_reason(
    observed: Observed, health: Health, reason: str
) -> None:
    standing = settled(observed)
    assert (standing.health, standing.reason) == (health, reason)


@pytest.mark.parametrize(
    "observed",
    [
        WELL,
        seen(missed=0.3),
        seen(attempts=4, faults=4),
        seen(attempts=8, faults=2),
        seen(attempts=4, seconds=100.0, usual_seconds=1.0),
        seen(attempts=9, seconds=100.0, usual_seconds=None),
        seen(attempts=9, seconds=None, usual_seconds=1.0),
        seen(attempts=9, seconds=100.0, usual_seconds=0.0),
        seen(attempts=9, seconds=3.0, usual_seconds=1.0),
        seen(memory_bytes=1024 * MIB),
        seen(cpu=0.9),
        seen(load=0.95),
    ],
    ids=str,
)
def test_what_is_within_the_bounds_or_says_too_little_is_healthy(observed: Observed) -> None:
    assert settled(observed) == HEALTHY


def test_an_agent_that_computes_or_has_all_it_can_take_is_healthy_by_default() -> None:
    assert settled(seen(cpu=8.0, load=1.0), limits=Limits()) == HEALTHY


def test_the_worst_measure_decides_and_all_that_are_bad_are_named() -> None:
    standing = settled(seen(missed=0.5, attempts=10, faults=8, lacking=("erp", "cad")))
    assert standing.health == "unhealthy"
    assert standing.reason == (
        "8 of its last 10 attempts failed; 50% of its heartbeats were missed;"
        " it lacks erp; it lacks cad"
    )


def test_a_moment_of_trouble_is_not_told() -> None:
    standing: Standing = HEALTHY
    for second in range(60):
        observed = seen(missed=0.9) if second % 5 else WELL  # four seconds of five
        standing = look(observed, standing, second)
        assert standing.health == "healthy"


def test_trouble_is_told_after_five_seconds_and_its_end_after_fifteen() -> None:
    standing: Standing = HEALTHY
    trouble = seen(missed=0.5)
    told = [
        second
        for second in range(10)
        if (standing := look(trouble, standing, second)).health == "degraded"
    ]
    assert told[0] == 5
    well = [
        second
        for second in range(10, 40)
        if (standing := look(WELL, standing, second)).health == "healthy"
    ]
    assert well[0] == 25
    assert standing.reason == "everything is within its limits again"


def test_trouble_that_changes_its_kind_goes_on() -> None:
    standing = look(seen(missed=0.9), HEALTHY)
    standing = look(seen(cpu=0.95), standing, 4)
    assert look(seen(cpu=0.95), standing, 5).health == "degraded"


def test_getting_worse_and_getting_better_are_waited_for_apart() -> None:
    standing = look(WELL, DEGRADED)  # better from here on
    standing = look(seen(missed=0.9), standing, 14)
    assert (standing.health, standing.leaning_since) == ("degraded", at(14))
    assert look(seen(missed=0.9), standing, 19).health == "unhealthy"


def test_a_measure_has_to_come_well_back_below_its_bound() -> None:
    assert settled(seen(missed=0.29), DEGRADED).health == "degraded"
    assert settled(seen(missed=0.25), DEGRADED).health == "degraded"
    assert settled(seen(missed=0.23), DEGRADED).health == "healthy"
    assert settled(seen(missed=0.6), UNHEALTHY).health == "unhealthy"
    assert settled(seen(missed=0.5), UNHEALTHY).health == "degraded"


def test_a_bound_that_is_none_is_never_reached() -> None:
    limits = Limits(missed=Bounds(degraded=None, unhealthy=0.5), memory=Bounds())
    assert settled(seen(missed=0.49, memory_bytes=2**50), limits=limits).health == "healthy"
    assert settled(seen(missed=0.51), limits=limits).health == "unhealthy"


def test_with_no_patience_everything_is_told_at_once() -> None:
    limits = Limits(worsen_after=0, recover_after=0)
    standing = look(seen(missed=0.5), HEALTHY, limits=limits)
    assert standing.health == "degraded"
    assert look(WELL, standing, limits=limits).health == "healthy"


@given(
    st.lists(
        st.builds(
            Observed,
            silence=st.integers(0, 6).map(lambda seconds: timedelta(seconds=seconds)),
            missed=st.none() | st.floats(0, 1),
            attempts=st.integers(0, 20),
            faults=st.integers(0, 20),
            memory_bytes=st.integers(0, 3000).map(lambda size: size * MIB),
        ),
        max_size=80,
    )
)
def test_nothing_but_silence_and_its_end_is_told_before_its_time(seen: list[Observed]) -> None:
    standing: Standing | None = None
    changed_at = 0
    for second, observed in enumerate(seen):
        after = look(observed, standing, second)
        if standing is not None and after.health != standing.health:
            if "offline" not in (after.health, standing.health):
                worse = SEVERITY.index(after.health) > SEVERITY.index(standing.health)
                assert second - changed_at >= (5 if worse else 15)
            changed_at = second
        standing = after
