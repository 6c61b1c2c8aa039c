"""What is asked with a body: read like every value, and what is wrong with it told in few words."""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from domain.values import Value
from domain.wrong import MOST_WRONG

V = TypeVar("V")


def in_few_words(given: Any, read: Callable[[Any], V]) -> V:
    """Read a value, and count what is wrong with it where that is too much to be listed.

    Raises:
        ValidationError: Something is wrong with it.
        PydanticCustomError: Too much is. A megabyte may hold half a million errors, and FastAPI
            would take half a minute to list them.
    """
    try:
        return read(given)
    except ValidationError as error:
        if (count := error.error_count()) <= MOST_WRONG:
            raise
        raise PydanticCustomError(
            "too_much_wrong", "{count} things are wrong with it", {"count": count}
        ) from None


class Asked(Value):
    """The body of a request."""

    @model_validator(mode="wrap")
    @classmethod
    def _in_few_words(cls, given: Any, read: ModelWrapValidatorHandler["Asked"]) -> "Asked":
        return in_few_words(given, read)
