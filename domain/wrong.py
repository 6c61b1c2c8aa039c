"""What is wrong with a value, told in few words: to list a million errors takes half a minute."""

from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError

MOST_WRONG: Final = 1_000
"""Errors that are looked at one by one; of more, only their number is told."""


def first_wrong(error: ValidationError) -> tuple[Sequence[int | str], str]:
    """Return where a value is wrong first, and how; nowhere where there is too much wrong."""
    if (count := error.error_count()) > MOST_WRONG:
        return (), f"{count} things are wrong with it"
    first = error.errors(include_url=False, include_input=False)[0]
    return first["loc"], first["msg"]


def in_a_line(error: ValidationError, *, whole: str = "it") -> str:
    """Return where a value is wrong first, and how: ``tasks.3.id: …``.

    ``whole`` names all of it.
    """
    where, why = first_wrong(error)
    return f"{'.'.join(map(str, where)) or whole}: {why}"
