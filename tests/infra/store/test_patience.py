"""How long a silent leader is waited for."""

from infra.store.leading import STALLED, Patience


def test_who_stands_still_is_deposed_soon() -> None:
    assert Patience().seconds == STALLED


def test_where_changing_the_lead_does_not_help_it_changes_less_often() -> None:
    patience = Patience()
    waits: list[float] = []
    for now in range(0, 120, 20):
        patience.change(now)
        waits.append(patience.seconds)
    assert waits == [STALLED, 2 * STALLED, 4 * STALLED, 8 * STALLED, 16 * STALLED, 16 * STALLED]


def test_after_a_calm_minute_it_is_as_it_was() -> None:
    patience = Patience()
    for now in (0, 10, 20, 90):
        patience.change(now)
    assert patience.seconds == STALLED
