"""Reads JSON and refuses whatever two readers could understand differently.

What a fast reader reads and writes back as the same bytes holds no duplicate keys, no odd numbers
and no other form of the same thing, and is taken as it is. The rest is read again with every check.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import NoReturn

import orjson
from pydantic import JsonValue

from bus.refusals import (
    DuplicateKey,
    InvalidUnicode,
    MalformedJson,
    NonFiniteNumber,
    NumberTooLarge,
    TooDeep,
    TooLarge,
)

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64

_LONGEST_INTEGER = 20  # characters of -2**63
_INTEGERS = range(-(2**63), 2**63)
_MAY_BE_TOO_LARGE = re.compile(rb"\d{19}")
# A string that does not end is taken to the end: looked for again from each of its quotes, a
# hostile message would take hours.
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|([\[{])|[\]}]', re.DOTALL)
_NOT_A_CHARACTER = re.compile("[\x00\ud800-\udfff]")


def loads_strict(
    raw: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH
) -> JsonValue:
    """Return the value that the bytes hold.

    Raises:
        Unreadable: They are not JSON, or not JSON that every reader understands the same way.
    """
    if len(raw) > max_bytes:
        raise TooLarge(f"the body has {len(raw)} bytes; at most {max_bytes} are allowed")
    if raw.count(b"{") + raw.count(b"[") > max_depth and _is_deeper(raw, max_depth):
        raise TooDeep(f"the body is nested more than {max_depth} levels deep; flatten it")
    try:
        value = _read_quickly(raw)
    except orjson.JSONDecodeError:
        value = None
    return _read_carefully(raw) if value is None else value


def _read_quickly(raw: bytes) -> JsonValue:
    """Return what the bytes hold, or None where only the careful reader can tell."""
    value: JsonValue = orjson.loads(raw)
    is_plain = b"\\u" not in raw and not _MAY_BE_TOO_LARGE.search(raw)
    return value if is_plain and orjson.dumps(value) == raw else None


def _read_carefully(raw: bytes) -> JsonValue:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidUnicode(f"byte {error.start} of the body is not UTF-8") from error
    try:
        value: JsonValue = _CAREFUL.decode(text)
    except json.JSONDecodeError as error:
        raise MalformedJson(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise TooDeep("the body is nested too deeply") from error
    if b"\\u" in raw:
        _refuse_broken_text(value)
    return value


def _is_deeper(raw: bytes, most: int) -> bool:
    depth = 0
    for found in _BRACKETS.finditer(raw):
        if found[1]:
            depth += 1
            if depth > most:
                return True
        elif found[0] in b"]}":
            depth -= 1
    return False


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise DuplicateKey(f"an object has more than one member {_shown(twice)}")
    return members


def _constant(word: str) -> NoReturn:
    raise NonFiniteNumber(f"{word} is not a number of JSON; leave the member out or use null")


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise NonFiniteNumber(f"{_shown(digits)} is too large for a number of 64 bits")
    return number


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER or (number := int(digits)) not in _INTEGERS:
        raise NumberTooLarge(f"{_shown(digits)} does not fit into 64 bits; send it as a string")
    return number


_CAREFUL = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_integer
)


def _refuse_broken_text(value: JsonValue) -> None:
    for text in _texts(value):
        if found := _NOT_A_CHARACTER.search(text):
            raise InvalidUnicode(f"a string holds U+{ord(found[0]):04X}, which is no character")


def _texts(value: JsonValue) -> Iterator[str]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case list() as values:
                waiting.extend(values)
            case dict() as members:
                yield from members
                waiting.extend(members.values())
            case _:
                pass


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
