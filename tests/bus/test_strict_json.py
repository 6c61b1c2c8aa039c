"""Strict JSON against a slow reader that makes every check every time."""

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bus.refusals import (
    DuplicateKey,
    InvalidUnicode,
    MalformedJson,
    NonFiniteNumber,
    NumberTooLarge,
    TooDeep,
    TooLarge,
    Unreadable,
)
from bus.strict_json import loads_strict


class Bad(Exception):
    pass


def slowly(raw: bytes) -> Any:  # noqa: C901 # each check stands alone
    """Read JSON with every check in plain sight."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise Bad
        return dict(pairs)

    def integer(digits: str) -> int:
        if len(digits) > 30 or not -(2**63) <= int(digits) < 2**63:
            raise Bad
        return int(digits)

    def number(digits: str) -> float:
        if math.isinf(float(digits)):
            raise Bad
        return float(digits)

    def constant(word: str) -> Any:
        raise Bad

    def look(value: Any, depth: int) -> None:
        if isinstance(value, str):
            if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
                raise Bad
            return
        if not isinstance(value, dict | list):
            return
        if depth == 64:
            raise Bad
        for inner in value:
            look(inner, depth + 1)
        for inner in value.values() if isinstance(value, dict) else ():
            look(inner, depth + 1)

    try:
        value = json.loads(
            raw.decode(),
            object_pairs_hook=members,
            parse_int=integer,
            parse_float=number,
            parse_constant=constant,
        )
    except (ValueError, RecursionError) as error:
        raise Bad from error
    look(value, 0)
    return value


def is_written_by_orjson(value: object) -> bool:
    try:
        return bool(orjson.dumps(value))
    except TypeError:
        return False


PIECES = st.sampled_from(
    [
        '{"a":1}',
        '{"a":1,"a":2}',
        "[",
        "]",
        "{",
        "}",
        '"',
        ",",
        ":",
        "NaN",
        "-Infinity",
        "1e999",
        "1E+99",
        "1e308",
        "-1e400",
        "9" * 15,
        "9" * 18,
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "0" * 20,
        "9" * 400 + ".5",
        "1.0000000000000000001",
        '"\\u0000"',
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\\\u0000"',
        '"e1234 aa9e123"',
        "[" * 64 + "]" * 64,
        "[" * 65 + "]" * 65,
        '"' + "[" * 70 + '"',
        '"\\"' + "[" * 70 + '"',
        "\ufeff",
        " ",
        "\x00",
        "null",
        "true",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
TEXTS = st.one_of(
    VALUES.map(lambda value: json.dumps(value, separators=(",", ":")).encode()),
    VALUES.filter(is_written_by_orjson).map(orjson.dumps),
    VALUES.map(lambda value: json.dumps(value).encode()),
    VALUES.map(lambda value: json.dumps(value, ensure_ascii=False).encode(errors="replace")),
    st.lists(PIECES, max_size=6).map(lambda pieces: "".join(pieces).encode()),
    st.lists(PIECES, max_size=4).map(lambda pieces: f"[{','.join(pieces)}]".encode()),
    st.lists(PIECES, max_size=2).map(lambda pieces: f'{{"a":{",".join(pieces)}}}'.encode()),
    st.binary(max_size=30),
)


@settings(deadline=None)  # the machine is noisy
@given(TEXTS)
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"1" * 100_000)
@example(b'"\xff"')
@example(b'"\xed\xa0\x80"')
@example(b"")
def test_it_reads_what_a_slow_careful_reader_reads(raw: bytes) -> None:
    try:
        expected = slowly(raw)
    except Bad:
        with pytest.raises(Unreadable):
            loads_strict(raw)
    else:
        assert loads_strict(raw) == expected


@pytest.mark.parametrize(
    ("raw", "refusal"),
    [
        (b'{"a":NaN}', NonFiniteNumber),
        (b'{"a":-Infinity}', NonFiniteNumber),
        (b'{"a":1e999}', NonFiniteNumber),
        (b'{"a":1,"b":{"c":1,"c":1}}', DuplicateKey),
        (b'["\\ud800"]', InvalidUnicode),
        (b'{"\\u0000":1}', InvalidUnicode),
        (b'"\xff"', InvalidUnicode),
        (b"[" * 65 + b"]" * 65, TooDeep),
        (b"9223372036854775808", NumberTooLarge),
        (b"1" * 100_000, NumberTooLarge),
        (b"{} {}", MalformedJson),
        (b'\xef\xbb\xbf{"a":1}', MalformedJson),
        (b"", MalformedJson),
        (b'"' + b"a" * 1024 * 1024 + b'"', TooLarge),
    ],
)
def test_every_reason_has_a_name(raw: bytes, refusal: type[Unreadable]) -> None:
    with pytest.raises(refusal):
        loads_strict(raw)


@pytest.mark.proves("S-20b")
@pytest.mark.parametrize(
    ("raw", "refusal"),
    [
        (b"[" * 65 + b'"' + b'\\"' * 500_000, TooDeep),
        (b"[" * 64 + b'"' + b'\\"' * 500_000 + b"\\", MalformedJson),
        (b"{%s}" % b",".join(b'"%d":1' % (n % 90_000) for n in range(90_001)), DuplicateKey),
    ],
    ids=["a string without an end", "one that ends in a backslash", "a key twice among many"],
)
def test_a_hostile_message_is_refused_in_linear_time(raw: bytes, refusal: type[Unreadable]) -> None:
    # Each of these once took minutes or hours, in which the process did nothing else.
    with pytest.raises(refusal):
        loads_strict(raw)


def test_a_message_about_a_long_text_stays_short() -> None:
    with pytest.raises(DuplicateKey) as caught:
        loads_strict(f'{{"{"k" * 9000}":1,"{"k" * 9000}":2}}'.encode())
    assert len(str(caught.value)) < 200
