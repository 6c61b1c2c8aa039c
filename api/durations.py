"""Times and durations as people read them; beside each duration stands its twin in seconds."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import PlainSerializer, TypeAdapter, ValidationError, WithJsonSchema

_UNITS = (("second", 1.0, 60.0), ("minute", 60.0, 60.0), ("hour", 3_600.0, 72.1))
"""Each unit with its seconds, and the number from which the next one is used."""

_SECONDS = {
    "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3_600, "hr": 3_600,
    "hour": 3_600, "d": 86_400, "day": 86_400, "w": 604_800, "week": 604_800,
    "month": 2_592_000, "year": 31_536_000,
}  # fmt: skip
_PART = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([a-z]+?)s?(?:\s*,)?(?=\s|$|\d)", re.ASCII)
_ISO = TypeAdapter(timedelta)
_LONGEST = 200
"""Characters in which anybody says how long something takes."""


def _shown(moment: datetime) -> str:
    # Not strftime, which writes the year 983 with three digits.
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


Moment = Annotated[
    datetime,
    PlainSerializer(_shown, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""A time as the API shows it: UTC, in whole seconds."""


def human(seconds: float) -> str:
    """Return a duration of so many seconds as people say it: ``2.5 hours``."""
    for name, size, too_many in _UNITS:
        if round(seconds / size, 1) < too_many:
            return _counted(seconds / size, name)
    return _counted(seconds / 86_400, "day")


def human_or_none(seconds: float | None) -> str | None:
    """Return a duration as people say it, or None where it is not known."""
    return None if seconds is None else human(seconds)


def _counted(number: float, unit: str) -> str:
    # Agents can be quick: below a second one decimal would say nothing.
    text = f"{number:.1f}" if unit != "second" or number >= 1 else f"{number:.3f}".rstrip("0")
    text = text.removesuffix(".0").removesuffix(".")
    return f"{text} {unit}" if text == "1" else f"{text} {unit}s"


def parse_duration(text: str) -> timedelta | None:
    """Return what people mean by ``30 days``, ``2h 30min`` or ``PT2H``; None where it is unclear.

    A month has 30 days and a year 365.
    """
    if len(text) > _LONGEST:
        return None
    rest, total = text.strip().lower(), 0.0
    if rest.startswith(("p", "-p", "+p")):
        try:
            return _ISO.validate_python(text.strip())
        except ValidationError:
            return None
    if not rest:
        return None
    while rest:
        part = _PART.match(rest)
        if part is None or part[2] not in _SECONDS:
            return None
        total += float(part[1]) * _SECONDS[part[2]]
        rest = rest[part.end() :].strip()
    try:
        return timedelta(seconds=total)
    except OverflowError:
        return None
