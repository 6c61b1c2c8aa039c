"""The quick matcher of topics agrees with the slow one that is plainly right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.embedded.routing import TopicTable

WORDS = st.sampled_from(["a", "b", "", "ab"])
PATTERNS = st.lists(st.one_of(WORDS, st.sampled_from(["*", "#"])), max_size=6).map(".".join)
KEYS = st.lists(WORDS, max_size=6).map(".".join)


def words(dotted: str) -> list[str]:
    return dotted.split(".") if dotted else []


def meets(pattern: list[str], key: list[str]) -> bool:
    """Match as the definition says it."""
    if not pattern:
        return not key
    first, *rest = pattern
    if first == "#":
        return any(meets(rest, key[skipped:]) for skipped in range(len(key) + 1))
    return bool(key) and first in ("*", key[0]) and meets(rest, key[1:])


@given(st.lists(PATTERNS, max_size=8, unique=True), KEYS)
def test_a_key_meets_the_patterns_it_should(patterns: list[str], key: str) -> None:
    table: TopicTable[str] = TopicTable()
    for pattern in patterns:
        table.add(pattern, pattern)
    expected = {pattern for pattern in patterns if meets(words(pattern), words(key))}
    assert set(table.match(key)) == expected


@pytest.mark.proves("S-20a")
def test_a_pattern_full_of_hashes_is_matched_without_backtracking() -> None:
    table: TopicTable[int] = TopicTable()
    table.add(".".join(["#", "a"] * 100), 1)
    assert not table.match(".".join(["a"] * 99 + ["b"]))
    assert table.match(".".join(["a"] * 100)) == {1: None}


def test_a_target_of_many_patterns_is_found_once() -> None:
    table: TopicTable[str] = TopicTable()
    for pattern in ("#", "a.*", "a.#", "*.b"):
        table.add(pattern, "target")
    assert list(table.match("a.b")) == ["target"]
