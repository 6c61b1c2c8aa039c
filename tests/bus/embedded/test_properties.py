"""Editing the bytes of properties changes what it should and nothing else."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands, header

from bus.embedded.dead_letters import died
from bus.embedded.errors import ConnectionRefused
from bus.embedded.messages import Message
from bus.embedded.properties import HEADERS, fields_of, headers_of, joined, with_headers

NAMES = st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=20)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.text(max_size=50),
        st.binary(max_size=20).map(bytearray),
        st.floats(width=32, allow_nan=False),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
TABLES = st.dictionaries(NAMES, VALUES, min_size=1, max_size=6)


def encoded(**properties: object) -> bytes:
    return header.ContentHeader(
        properties=commands.Basic.Properties(**properties)  # type: ignore[arg-type]
    ).marshal()[12:]


@given(
    TABLES, st.one_of(st.none(), st.text(max_size=20)), st.one_of(st.none(), st.integers(0, 255))
)
def test_properties_come_apart_and_together(
    headers: dict[str, object], kind: str | None, priority: int | None
) -> None:
    properties = encoded(headers=headers, message_type=kind, priority=priority)
    assert joined(fields_of(properties)) == properties


@given(TABLES, st.integers(0, 1000))
def test_a_header_is_set_and_the_others_keep_their_bytes(
    headers: dict[str, object], count: int
) -> None:
    table = fields_of(encoded(headers=headers))[HEADERS]
    after = with_headers(table, {"x-count": count})
    assert after[4 : len(table)] == table[4:]
    assert with_headers(after, {"x-count": None}) == table


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_read_or_refused(junk: bytes) -> None:
    try:
        fields_of(junk)
    except ConnectionRefused:
        return
    headers_of(junk)
    died(Message("x", "k", junk, b""), queue="q", reason="expired", exchange="d", routing_key=None)


def test_deaths_that_a_client_made_up_do_not_stop_the_real_one() -> None:
    table = b"\x07x-death" + b"A" + (16).to_bytes(4) + b"F" + (11).to_bytes(4)
    table += b"\x01nd" + b"\x7f\xe0" + bytes(6)  # a double that no float of 32 bits can hold
    headers = len(table).to_bytes(4) + table
    message = Message("x", "k", HEADERS.to_bytes(2) + headers, b"")
    assert headers_of(message.properties)["x-death"] == [{"n": pytest.approx(8.98846567431158e307)}]
    dead = died(message, queue="q", reason="expired", exchange="d", routing_key=None)
    (death,) = headers_of(dead.properties)["x-death"]  # type: ignore[misc,union-attr]
    assert death["reason"] == "expired"  # type: ignore[index,call-overload]


def test_a_lifetime_is_in_seconds() -> None:
    assert Message("", "k", encoded(expiration="1500"), b"").lifetime == 1.5
    assert Message("", "k", encoded(timestamp=datetime.now(UTC)), b"").lifetime == math.inf
