"""Why letters died, without what differs from letter to letter: what has one cause is one group."""

import hashlib
import re
from collections.abc import Mapping
from typing import Final, cast

from bus.strict_json import loads_strict
from domain.errors import Refused

_LARGEST_READ: Final = 1024 * 1024
_TELLING: Final = range(2, 201)
"""Characters of a value that is looked for: of a shorter one, finding it says nothing."""

_MOST_MEMBERS: Final = 50
_QUOTED: Final = re.compile(r"(?<!\w)'[^']*'")
_DIGITS: Final = re.compile(r"\d+")
_WORD: Final = re.compile(r"[^\s,;:'\"()<>]+")


def claims_of(body: bytes) -> Mapping[str, object]:
    """Return the members of the CloudEvent that a body claims to be; none where it is no object."""
    try:
        said = loads_strict(body, max_bytes=_LARGEST_READ)
    except Refused:
        return {}
    return cast("Mapping[str, object]", said) if isinstance(said, dict) else {}


def type_of(claims: Mapping[str, object], routing_key: str) -> str:
    """Return what a message claims to be, else the key it was sent with."""
    said = claims.get("type")
    return said if isinstance(said, str) and said else routing_key


def shape_of(detail: str, claims: Mapping[str, object]) -> str:
    """Return a detail with names in the place of what the message itself says.

    ``there is no run exec_17`` of a report on that run becomes ``there is no run {run_id}``. What
    is quoted or has a digit is left out where the message does not name it.
    """
    shape = detail
    for value, name in sorted(_named(claims).items(), key=lambda one: -len(one[0])):
        shape = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", f"{{{name}}}", shape)
    return _WORD.sub(_without_numbers, _QUOTED.sub("'…'", shape))


def cause_of(*, reason: str, shape: str, exchange: str, queue: str, type: str) -> str:  # noqa: A002 # its name everywhere
    """Return the name of the group of letters that died of the same, at the same place."""
    told = "\x1f".join((reason, shape, exchange, queue, type))
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _without_numbers(found: re.Match[str]) -> str:
    word = found[0]
    if not _DIGITS.search(word):
        return word
    return _DIGITS.sub("#", word) if word.startswith("/") else "#"  # a pointer tells where


def _named(claims: Mapping[str, object]) -> Mapping[str, str]:
    """Return the texts of a message that a sentence about it may repeat, with their names."""
    data = claims.get("data")
    members: Mapping[str, object] = (
        cast("Mapping[str, object]", data) if isinstance(data, dict) else {}
    )
    envelope = {name: claims.get(name) for name in ("id", "subject", "source")}
    named: dict[str, str] = {}
    for name, value in (*list(members.items())[:_MOST_MEMBERS], *envelope.items()):
        if isinstance(value, str) and len(value) in _TELLING and name.isidentifier():
            named.setdefault(value, name)
    return named
