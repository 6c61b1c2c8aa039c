"""Earlier versions of reports, and how they are read as the current one.

What an agent of the version before says goes on counting: its words are put into ours before its
data is checked, and after that nobody can tell. A chain of steps would lead from older ones.
"""

from collections.abc import Callable, Mapping
from typing import Final

from pydantic import JsonValue

from bus.refusals import BadSchema

CURRENT: Final = 1
"""Version 0 of what agents say of attempts has the words of the API: ``execution_id``, ``attempt``,
``error``, ``output``."""

Data = Mapping[str, JsonValue]
Step = Callable[[Data], dict[str, JsonValue]]

_ATTEMPT: Final = {"execution_id": "run_id", "attempt": "epoch"}


def renamed(data: Data, names: Mapping[str, str]) -> dict[str, JsonValue]:
    """Return data with some members under other names.

    Raises:
        BadSchema: It has a member under both names, so that nobody knows which is meant.
    """
    if both := [old for old, new in names.items() if old in data and new in data]:
        raise BadSchema(f"/data/{both[0]}: it is called {names[both[0]]} as well; send one of them")
    return {names.get(name, name): value for name, value in data.items()}


def _attempt(data: Data) -> dict[str, JsonValue]:
    return renamed(data, _ATTEMPT)


STEPS: Final[Mapping[tuple[str, int], Step]] = {
    ("task.started", 0): _attempt,
    ("task.completed", 0): lambda data: renamed(data, _ATTEMPT | {"output": "result"}),
    ("task.failed", 0): lambda data: renamed(
        data, _ATTEMPT | {"error": "reason", "error_type": "error_class"}
    ),
    ("task.stopped", 0): _attempt,
}
"""By type and version: the step to the version after it."""


def understood(type_: str, version: object) -> bool:
    """Tell whether a version of a type can be read."""
    if isinstance(version, bool) or not isinstance(version, int):
        return False
    return version == CURRENT or (type_, version) in STEPS


def up_to_date(type_: str, version: int, data: Data) -> dict[str, JsonValue]:
    """Return the data of a report as its current version has it.

    Raises:
        BadSchema: It says something in two ways.
    """
    said = dict(data)
    while version < CURRENT:
        said = STEPS[type_, version](said)
        version += 1
    return said
