"""What an edit changes, as lines for people; what was and what is are kept in full beside them."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final, cast

import orjson
from pydantic import JsonValue

from bus.letters import Edit, KeptLetter
from bus.strict_json import loads_strict
from domain.errors import Refused

MOST_LINES: Final = 200
_WIDEST: Final = 200
_NOTHING: Final = object()


def differences(letter: KeptLetter, edit: Edit) -> list[str]:
    """Return what an edit changes about what would be sent: nothing, or a line a change."""
    now = letter.message()
    lines = [
        f"{name}: {_shown(old)} → {_shown(new)}"
        for name, old, new in (
            ("message_id", now.message_id, edit.message_id),
            ("routing_key", now.key, edit.routing_key),
            ("content_type", now.content_type, edit.content_type),
        )
        if new is not None and new != old
    ]
    if edit.body is not None and edit.body != now.body:
        lines += _of_bodies(now.body, edit.body)
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"… and {len(lines) - MOST_LINES} more"]
    return lines


def as_json(body: bytes) -> JsonValue | None:
    """Return the JSON that a body is beyond doubt; None where it is something else."""
    try:
        return loads_strict(body, max_bytes=len(body))
    except Refused:
        return None


def _of_bodies(old: bytes, new: bytes) -> list[str]:
    before, after = as_json(old), as_json(new)
    if before is None or after is None:
        return [f"body: {_told(old)} → {_told(new)}"]
    return list(_of_values("", before, after)) or ["body: the same JSON, written otherwise"]


def _of_values(path: str, old: object, new: object) -> Iterator[str]:
    """Yield what differs between two JSON values; neither is deeper than strict JSON may be."""
    if type(old) is type(new):
        if type(old) in (dict, list):  # compared as a whole, true would be 1
            yield from _of_members(path, _members(old), _members(new))
            return
        if old == new:
            return
    if old is _NOTHING:
        yield f"+ {path or '/'}: {_shown(new)}"
    elif new is _NOTHING:
        yield f"- {path or '/'}: {_shown(old)}"
    else:
        yield f"{path or '/'}: {_shown(old)} → {_shown(new)}"


def _of_members(path: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[str]:
    for name in dict.fromkeys([*old, *new]):
        pointer = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
        yield from _of_values(pointer, old.get(name, _NOTHING), new.get(name, _NOTHING))


def _members(value: object) -> Mapping[str, object]:
    """Return what an object or an array is made of, by its place."""
    if isinstance(value, dict):
        return cast("Mapping[str, object]", value)
    return {str(number): one for number, one in enumerate(cast("list[object]", value))}


def _shown(value: object) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}…"


def _told(body: bytes) -> str:
    """Return a body that is no JSON: itself where it is a short text, else what identifies it."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = ""
    if text and len(text) <= _WIDEST and "\0" not in text:
        return _shown(text)
    return f"{len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()[:16]}"
