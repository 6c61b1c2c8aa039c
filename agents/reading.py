"""Reading what a task was given, and writing what it found: refusals that say what and why."""

from collections.abc import Hashable, Mapping
from dataclasses import asdict
from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import JsonValue, TypeAdapter, ValidationError

from agents.agent import CannotBeDone, Work
from domain.values import JsonObject
from domain.wrong import in_a_line

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")


def needed(work: Work, name: str) -> JsonObject:
    """Return the input of that name.

    Raises:
        CannotBeDone: The task was not given it.
    """
    found = work.inputs.get(name)
    if found is None:
        given = ", ".join(sorted(work.inputs)) or "none"
        raise CannotBeDone(f"{work.action} needs the input {name!r}; it was given {given}")
    return found


def read(work: Work, name: str, shape: type[T], *, part: str | None = None) -> T:
    """Return an input, or a part of it, in a shape; fields that the shape lacks are skipped.

    Raises:
        CannotBeDone: It is missing, or not of that shape.
    """
    source: JsonValue = needed(work, name)
    where = f"the input {name!r}"
    if part is not None:
        source = cast(JsonObject, source).get(part)
        where = f"{part!r} of {where}"
    return shaped(source, shape, where=where)


def shaped(source: object, shape: type[T], *, where: str) -> T:
    """Return a value in a shape.

    Raises:
        CannotBeDone: It is not of that shape.
    """
    try:
        return cast(T, _adapter(cast(Hashable, shape)).validate_python(source))
    except ValidationError as error:
        raise CannotBeDone(f"{where} cannot be used: {in_a_line(error)}") from error


def number(
    source: Mapping[str, JsonValue],
    key: str,
    *,
    low: float,
    high: float,
    default: float | None = None,
) -> float:
    """Return a number from the parameters.

    Raises:
        CannotBeDone: It is missing and has no default, is not a number, or is not plausible.
    """
    value = source.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise CannotBeDone(f"{key} has to be a number from {low:g} to {high:g}; it is {value!r}")
    if not low <= value <= high:
        raise CannotBeDone(f"{key} = {value:g} is not plausible; it goes from {low:g} to {high:g}")
    return float(value)


def result(summary: str, *parts: "DataclassInstance | Mapping[str, Any]") -> JsonObject:
    """Return one JSON object of several parts, floats to six digits, with a line for people.

    Raises:
        CannotBeDone: A number is not finite: what was given leads nowhere.
    """
    found: JsonObject = {"summary": summary}
    for part in parts:
        fields: Mapping[str, Any] = part if isinstance(part, Mapping) else asdict(part)
        for name, value in fields.items():
            found[name] = _tidy(name, value)
    return found


def _tidy(name: str, value: Any) -> JsonValue:
    if isinstance(value, float):
        if not isfinite(value):
            raise CannotBeDone(f"{name} comes out as {value}; check the facts it was given")
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        fields = cast(Mapping[str, Any], value)
        return {key: _tidy(f"{name}.{key}", each) for key, each in fields.items()}
    if isinstance(value, list | tuple):
        return [_tidy(name, each) for each in cast(list[Any], value)]
    return cast(JsonValue, value)


@cache
def _adapter(shape: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(type[Any], shape))
