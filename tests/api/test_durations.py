"""Durations read as people write them, and back."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import TypeAdapter

from api.durations import Moment, human, parse_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 seconds"),
        (0.0004, "0 seconds"),
        (0.0047, "0.005 seconds"),
        (0.5, "0.5 seconds"),
        (0.9999, "1 second"),
        (1, "1 second"),
        (1.2, "1.2 seconds"),
        (59.9, "59.9 seconds"),
        (59.99, "1 minute"),
        (108, "1.8 minutes"),
        (3_600, "1 hour"),
        (9_000, "2.5 hours"),
        (72 * 3_600, "72 hours"),
        (18 * 86_400, "18 days"),
    ],
)
def test_a_duration_reads_as_people_say_it(seconds: float, text: str) -> None:
    assert human(seconds) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30 days", timedelta(days=30)),
        ("1 hour", timedelta(hours=1)),
        ("2h 30min", timedelta(hours=2.5)),
        ("1.5 Weeks", timedelta(weeks=1.5)),
        ("PT2H", timedelta(hours=2)),
        ("soon", None),
        ("30", None),
        ("", None),
        ("-1 day", None),
        ("30 days or so", None),
        ("999999999 years", None),
    ],
)
def test_what_people_write_is_understood_or_not_guessed(
    text: str, expected: timedelta | None
) -> None:
    assert parse_duration(text) == expected


@given(some.text(max_size=40))
def test_no_text_breaks_the_reader(text: str) -> None:
    parse_duration(text)


@given(some.floats(min_value=0, max_value=10**9))
def test_what_is_shown_is_understood_again(seconds: float) -> None:
    shown = parse_duration(human(seconds))
    assert shown is not None
    assert shown.total_seconds() == pytest.approx(seconds, rel=0.06, abs=0.0006)


def test_a_moment_is_shown_in_utc_and_whole_seconds() -> None:
    moment = datetime(2026, 1, 20, 12, 30, 1, 999_999, tzinfo=timezone(timedelta(hours=1)))
    assert TypeAdapter(Moment).dump_json(moment) == b'"2026-01-20T11:30:01Z"'
    assert TypeAdapter(Moment).validate_json(b'"2026-01-20T11:30:01Z"') == datetime(
        2026, 1, 20, 11, 30, 1, tzinfo=UTC
    )
