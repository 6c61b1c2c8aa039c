"""What is remembered of an agent's heartbeats, and what follows from it."""

from datetime import timedelta

import pytest

from bus.signals import Dependency, Heartbeat
from bus.tracks import Track, usual_seconds
from domain.health import Limits, Observed
from tests.bus.test_health import heartbeat
from tests.support.scenario import NOW

LEASE = timedelta(seconds=5)
LIMITS = Limits()


class Followed:
    """An agent whose heartbeats come as a test lets them."""

    def __init__(self, **first: object) -> None:
        self.now = NOW
        self.track = Track(at=NOW, last=heartbeat("ann", **first))

    def beat(self, *, after: float = 1.0, **changes: object) -> None:
        self.now += timedelta(seconds=after)
        said: Heartbeat = heartbeat("ann", **changes)
        self.track.hear(said, self.now, lease=LEASE, window=LIMITS.window)

    def seen(self) -> Observed:
        return self.track.observed(self.now, limits=LIMITS, usual_seconds=None)


def test_the_first_heartbeat_says_what_is_and_nothing_of_what_was() -> None:
    dependency = Dependency(name="erp", state="open")
    seen = Followed(
        completed=90, failed=9, cpu=0.5, memory_bytes=7, interval=1.0, dependencies=(dependency,)
    ).seen()
    assert seen == Observed(
        silence=timedelta(0), cpu=0.5, memory_bytes=7, load=0.5, lacking=["erp"]
    )


def test_an_agent_is_judged_by_what_it_did_within_the_window() -> None:
    ann = Followed()
    for second in range(1, 181):
        ann.beat(completed=second, failed=min(second, 60), faults=min(second, 60))
    seen = ann.seen()
    assert (seen.attempts, seen.faults) == (60, 0)


def test_an_agent_that_does_not_tell_faults_is_judged_by_its_failures() -> None:
    ann = Followed()
    ann.beat(completed=3, failed=2)
    assert (ann.seen().attempts, ann.seen().faults) == (5, 2)


@pytest.mark.parametrize(("interval", "missed"), [(1.0, 0.0), (0.5, 0.5), (None, None)])
def test_what_was_missed_is_what_was_due_and_did_not_come(
    interval: float | None, missed: float | None
) -> None:
    ann = Followed(interval=interval)
    for _ in range(100):
        ann.beat(interval=interval)
    seen = ann.seen().missed
    assert seen == (missed if missed is None else pytest.approx(missed, abs=0.02))


def test_few_heartbeats_say_nothing_of_those_that_were_missed() -> None:
    ann = Followed(interval=1.0)
    ann.beat(after=4, interval=1.0)
    assert ann.seen().missed is None


def test_after_a_silence_an_agent_begins_anew() -> None:
    ann = Followed()
    ann.beat(failed=50)
    ann.beat(after=60, failed=50)
    ann.beat(completed=1, failed=50)
    assert (ann.seen().attempts, ann.seen().faults) == (1, 0)


def test_memory_does_not_grow_with_time() -> None:
    ann = Followed()
    for _ in range(1_000):
        ann.beat()
    assert len(ann.track.samples) == 13


def test_what_is_usual_is_the_median_of_those_that_work_enough() -> None:
    tracks: list[Track] = []
    for seconds, attempts in ((1.0, 9), (2.0, 9), (30.0, 9), (900.0, 2)):
        one = Followed(busy_seconds=0.0)
        one.beat(completed=attempts, busy_seconds=seconds * attempts)
        tracks.append(one.track)
    now = NOW + timedelta(seconds=1)
    assert usual_seconds(tracks, now, limits=LIMITS) == {("execution", "NOOP"): 2.0}
    assert usual_seconds(tracks[1:], now, limits=LIMITS) == {}


def test_an_agent_that_does_not_tell_how_long_it_worked_is_not_compared() -> None:
    one = Followed()
    one.beat(completed=9)
    assert one.track.seconds(one.now, limits=LIMITS) is None
