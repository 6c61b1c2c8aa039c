"""Reads what a newer sender has written: fields that are unknown here are passed over."""

from collections.abc import Mapping
from copy import deepcopy
from typing import TypeVar

from pydantic import JsonValue, ValidationError

from domain.values import Value
from domain.wrong import MOST_WRONG

E = TypeVar("E", bound=Value)


def validate_tolerantly(model: type[E], data: Mapping[str, JsonValue]) -> E:
    """Return the model that the data holds, without the fields that the model does not know.

    pydantic's own ``extra="ignore"`` would also empty the models that keep unknown fields.

    Raises:
        ValidationError: The fields that it knows are wrong, or too many are unknown.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        if error.error_count() > MOST_WRONG:
            raise
        unknown = [
            problem["loc"]
            for problem in error.errors(include_url=False, include_context=False)
            if problem["type"] == "extra_forbidden"
        ]
        if not unknown:
            raise
    known: JsonValue = deepcopy(dict(data))
    for location in unknown:
        _remove(known, location)
    return model.model_validate(known)


def _remove(value: JsonValue, location: tuple[int | str, ...]) -> None:
    *path, name = location
    for part in path:
        match value:
            case dict() if isinstance(part, str):
                value = value[part]
            case list() if isinstance(part, int):
                value = value[part]
            case _:
                return
    if isinstance(value, dict):
        value.pop(str(name), None)
