"""What a model's plan may ask for: actions that agents of the domain have, with their parameters.

A model that does whatever its data says still gets no further than this. Nothing here is taken from
an answer: agent types, roles, effects, retries and budgets are never read from one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from pydantic import TypeAdapter

from domain.values import JsonObject
from domain.weights import weight

MOST_PARAMS: Final = 8 * 1024
"""Bytes of JSON that the parameters of one task may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One action that agents of a domain can take."""

    does: str
    params: frozenset[str]
    """The parameters that it knows."""


_FORM = TypeAdapter(dict[str, dict[str, Right]])


@cache
def rights() -> Mapping[str, Mapping[str, Right]]:
    """Return every action there is, by domain."""
    text = files("agents.catalogue").joinpath("actions.json").read_text(encoding="utf-8")
    return _FORM.validate_python(json.loads(text))


def exceeds(domain: str, action: str, params: JsonObject) -> str:
    """Say how a task exceeds the rights of its domain; an empty string says that it does not."""
    right = rights().get(domain, {}).get(action)
    if right is None:
        return f"agents of {domain} have no action {plain(action, 64)!r}"
    if strange := sorted(params.keys() - right.params):
        return f"{action} knows no parameter {plain(strange[0], 64)!r}"
    if (has := weight(params)) > MOST_PARAMS:
        return f"the parameters of {action} have {has} bytes; at most {MOST_PARAMS}"
    return ""


def plain(text: str, longest: int) -> str:
    """Return text on one line, without what moves a cursor or changes the direction of reading."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(shown.split())[:longest]
