"""What a process remembers of its own appends is right, and bounded."""

from infra.store.recent import RecentEvents
from tests.support.recording import a_life


def add(recent: RecentEvents, first: int, count: int, *, size: int = 1) -> None:
    positions = range(first, first + count)
    recent.add(a_life("ann", positions), positions, [size] * count)


def positions_after(recent: RecentEvents, position: int) -> list[int]:
    return [event.position for event in recent.after(position, 1_000)]


def test_appends_that_follow_each_other_are_remembered_together() -> None:
    recent = RecentEvents()
    add(recent, 1, 2)
    add(recent, 3, 2)
    assert positions_after(recent, 0) == [1, 2, 3, 4]
    assert positions_after(recent, 3) == [4]
    assert positions_after(recent, 4) == []


def test_a_gap_may_be_somebody_elses_event() -> None:
    recent = RecentEvents()
    add(recent, 1, 2)
    add(recent, 4, 2)
    assert positions_after(recent, 2) == []
    assert positions_after(recent, 3) == [4, 5]
    recent.add(a_life("bob", [1, 2]), [6, 8], [1, 1])
    assert positions_after(recent, 5) == []


def test_no_more_is_kept_than_twice_what_it_may_be() -> None:
    by_count, by_bytes = RecentEvents(10), RecentEvents(most_bytes=10)
    for first in range(1, 100):
        add(by_count, first, 1)
        add(by_bytes, first, 1)
        assert positions_after(by_count, first - 1) == [first]
        assert positions_after(by_bytes, first - 1) == [first]
    for recent in (by_count, by_bytes):
        reachable = [first for first in range(100) if positions_after(recent, first)]
        assert 10 <= len(reachable) <= 20


def test_an_event_larger_than_everything_is_not_kept() -> None:
    recent = RecentEvents(most_bytes=10)
    add(recent, 1, 1)
    add(recent, 2, 1, size=100)
    assert positions_after(recent, 1) == []
    add(recent, 3, 1)
    assert positions_after(recent, 2) == [3]
    assert positions_after(recent, 1) == []
