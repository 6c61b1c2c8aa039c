"""What is personal in an event: taken out before it is kept, put back when it is read.

Which fields are personal their models say, with the marker ``Personal``. What is left without
them is an event of its own, that reads ``[forgotten]`` in their place.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, JsonValue

from domain.values import Personal

FORGOTTEN: Final = "[forgotten]"
"""What is read where something personal was."""

EACH: Final = "*"
"""Stands for every member of a list, or every value of an object."""

Path: TypeAlias = tuple[str, ...]


@cache
def personal_paths(model: type[BaseModel]) -> tuple[Path, ...]:
    """Return where a model has what is personal, ``("tasks", "*", "params")`` for example."""
    return tuple(_paths_of(model))


def take_out(model: type[BaseModel], event: dict[str, Any]) -> dict[str, JsonValue]:
    """Take what is personal out of an event's JSON, and return it by its places."""
    taken: dict[str, JsonValue] = {}
    for path in personal_paths(model):
        _take(event, path, "", taken)
    return taken


def put_back(event: dict[str, Any], taken: Mapping[str, JsonValue]) -> None:
    """Put what was taken out of an event's JSON back into its places."""
    for place, value in taken.items():
        *way, last = place.split("/")
        holder: Any = event
        for step in way:
            holder = holder[_index(holder, step)]
        holder[_index(holder, last)] = value


def _take(holder: Any, path: Path, way: str, taken: dict[str, JsonValue]) -> None:
    step, rest = path[0], path[1:]
    for name in _names(holder, step):
        value: Any = holder[name]
        if not value or type(value) in (bool, int, float):
            continue  # nothing is there, or nothing that tells of anybody
        place = f"{way}{name}" if name is step else f"{way}{_quoted(str(name))}"
        if rest:
            _take(value, rest, f"{place}/", taken)
        else:
            taken[place] = value
            holder[name] = FORGOTTEN if type(value) is str else type(value)()


def _names(holder: Any, step: str) -> Iterable[Any]:
    """Return the members that a step leads to."""
    if step == EACH:
        is_list = isinstance(holder, list)
        count: int = len(holder)  # pyright: ignore[reportUnknownArgumentType] # of JSON
        return range(count) if is_list else list(holder)
    return (step,) if step in holder else ()


def _quoted(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _index(holder: Any, step: str) -> str | int:
    return int(step) if isinstance(holder, list) else step.replace("~1", "/").replace("~0", "~")


def _paths_of(annotation: Any) -> Iterator[Path]:
    origin = get_origin(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            if any(isinstance(mark, Personal) for mark in field.metadata):
                yield (name,)
            else:
                yield from ((name, *path) for path in _paths_of(field.annotation))
    elif origin is Annotated:
        inner, *marks = get_args(annotation)
        if any(isinstance(mark, Personal) for mark in marks):
            yield ()
        else:
            yield from _paths_of(inner)
    elif origin in (Union, UnionType):
        yield from dict.fromkeys(path for one in get_args(annotation) for path in _paths_of(one))
    elif origin in (tuple, list):
        members = [one for one in get_args(annotation) if one is not Ellipsis]
        found = dict.fromkeys(path for one in members for path in _paths_of(one))
        yield from ((EACH, *path) for path in found)
    elif origin is dict:
        yield from ((EACH, *path) for path in _paths_of(get_args(annotation)[1]))
