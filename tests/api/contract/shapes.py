"""What a document shows, as shapes that an answer has to fit: every field, and its type."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

Test: TypeAlias = Callable[[Any], bool]
Shape: TypeAlias = "type | re.Pattern[str] | Mapping[str, Any] | list[Any] | frozenset[Any] | Test"
"""A type; a pattern; fields with their shapes; a list of one shape; one of some values; a test."""

MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
DURATION: Final = re.compile(r"\d+(\.\d+)? (second|minute|hour|day)s?")
RATE: Final = re.compile(r"\d+(\.\d+)? (tasks/hour|plans/day)")
WEBSOCKET: Final = re.compile(r"wss?://[^/]+/ws/executions/exec_[\w-]+")


def named(prefix: str) -> re.Pattern[str]:
    """Return the shape of an id."""
    return re.compile(rf"{prefix}_[\w-]+")


def one_of(*values: object) -> frozenset[object]:
    """Return the shape of what is one of some words."""
    return frozenset(values)


def ratio(value: Any) -> bool:
    """Say whether something is a share of one."""
    return isinstance(value, int | float) and 0 <= value <= 1


def number(value: Any) -> bool:
    """Say whether something is a number that is not negative."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def counted(value: Any) -> bool:
    """Say whether something is a count."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def maybe(shape: Shape) -> Callable[[Any], bool]:
    """Return the shape of what may be null: nobody knows it yet."""
    return lambda value: value is None or not misfits(value, shape)


def each(shape: Shape) -> Callable[[Any], bool]:
    """Return the shape of a map from names to one shape."""
    return lambda value: (
        isinstance(value, dict) and not any(misfits(one, shape) for one in value.values())
    )


def fits(value: Any, shape: Shape) -> None:
    """Require that a value has a shape; what it has besides does no harm."""
    wrong = misfits(value, shape)
    assert not wrong, "\n".join(wrong)


def misfits(value: Any, shape: Shape, at: str = "") -> list[str]:
    """Return where a value has not the shape, and what is there instead."""
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            return [f"{at or '/'}: {value!r} has no fields"]
        missing = [f"{at}/{name}: is missing" for name in shape if name not in value]
        there = (name for name in shape if name in value)
        return missing + [
            wrong for name in there for wrong in misfits(value[name], shape[name], f"{at}/{name}")
        ]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{at or '/'}: {value!r} is no list"]
        return [
            wrong
            for number, one in enumerate(value)
            for wrong in misfits(one, shape[0], f"{at}/{number}")
        ]
    return [] if _is(value, shape) else [f"{at or '/'}: {value!r} is not {shape}"]


def _is(value: Any, shape: Shape) -> bool:
    if isinstance(shape, re.Pattern):
        return isinstance(value, str) and shape.fullmatch(value) is not None
    if isinstance(shape, frozenset):
        return value in shape
    if isinstance(shape, type):
        return isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
    return bool(callable(shape) and shape(value))
