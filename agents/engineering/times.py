"""Spans of time as people write them."""

import re

_HOURS = {"hour": 1, "day": 24, "week": 168, "month": 730, "quarter": 2190, "year": 8760}
_PHRASE = re.compile(r"(\d+(?:\.\d+)?)\s*(hour|day|week|month|quarter|year)s?\b", re.IGNORECASE)
_ISO = re.compile(r"^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?)?$")
_ISO_HOURS = (8760, 730, 168, 24, 1)


def hours_of(text: str) -> float | None:
    """Return the hours that ``30 days``, ``2 weeks``, ``1.5 months`` or ``P30D`` mean, or None."""
    if phrases := _PHRASE.findall(text):
        return sum(float(count) * _HOURS[unit.lower()] for count, unit in phrases)
    if iso := _ISO.match(text.strip()):
        counts = [int(count) if count else 0 for count in iso.groups()]
        return sum(c * h for c, h in zip(counts, _ISO_HOURS, strict=True)) or None
    return None
