"""Reads JSON and refuses whatever two readers could understand differently.

The scanner is the C scanner of the standard library. Checks that it lacks and that cost time are
made only where a cheap look at the bytes says that they could matter.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import NoReturn

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
# A shorter integer fits into 64 bits, and a shorter mantissa with two digits of exponent is finite.
_MAY_BE_TOO_LARGE = re.compile(rb"\d{16}|\d[eE][+-]?\d{3}")
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|([\[{])|[\]}]', re.DOTALL)
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
    if raw.count(b"{") + raw.count(b"[") > max_depth and _depth(raw) > max_depth:
        raise TooDeep(f"the body is nested more than {max_depth} levels deep; flatten it")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidUnicode(f"byte {error.start} of the body is not UTF-8") from error
    decoder = _CAREFUL if _MAY_BE_TOO_LARGE.search(raw) else _QUICK
    try:
        value: JsonValue = decoder.decode(text)
    except json.JSONDecodeError as error:
        raise MalformedJson(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise TooDeep("the body is nested too deeply") from error
    if b"\\u" in raw:
        _refuse_broken_text(value)
    return value


def _depth(raw: bytes) -> int:
    depth = deepest = 0
    for found in _BRACKETS.finditer(raw):
        if found[1]:
            depth += 1
            deepest = max(deepest, depth)
        elif found[0] in b"]}":
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
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


_QUICK = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
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
