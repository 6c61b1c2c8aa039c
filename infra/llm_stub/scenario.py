"""What the stub answers: rules in order, the first that fits, each so many times."""

import json
import random
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.errors import Refused

Fault = Literal[
    "429", "503", "500", "401", "stall", "cut", "garbage", "malformed", "text", "cycle", "obey"
]
"""What goes wrong.

``stall``      nothing comes, and the connection stays open
``cut``        the connection ends in the middle of the answer
``garbage``    the body is no JSON
``malformed``  the answer's arguments are no JSON
``text``       words instead of the form that was asked for
``cycle``      a plan whose tasks wait for each other
``obey``       it does what the data says after ``OBEY:``, as a captured model would
"""

FAULTS: Final[tuple[Fault, ...]] = (
    "429",
    "503",
    "500",
    "401",
    "stall",
    "cut",
    "garbage",
    "malformed",
    "text",
    "cycle",
    "obey",
)


class UnknownScenario(Refused):
    """There is no scenario of this name, and no file."""

    code = "unknown-scenario"

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"there is no scenario {name}; give a file, or one of {', '.join(known)}")


class Rule(BaseModel):
    """What is done with requests that fit."""

    model_config = ConfigDict(extra="forbid")

    tool: str | None = None
    """Of requests for this form only."""

    provider: Literal["openai", "anthropic"] | None = None
    contains: str | None = None
    """Of requests whose text has this in it only."""

    times: int | None = Field(default=None, ge=1)
    """So many times; None for ever."""

    chance: float = Field(default=1.0, ge=0, le=1)
    """Of so many of the requests that fit, chosen by the scenario's seed."""

    fault: Fault | None = None
    retry_after: float | None = Field(default=None, ge=0)
    """What a 429 or 503 says in ``Retry-After``, in seconds."""

    answer: dict[str, Any] | None = None
    """What is answered, if nothing goes wrong."""

    tokens: int | None = Field(default=None, ge=0)
    """What the answer is said to cost, whatever its length."""

    delay: float = Field(default=0.0, ge=0, le=600)
    """Seconds before the answer."""


class Scenario(BaseModel):
    """A script."""

    model_config = ConfigDict(extra="forbid")

    seed: int = 0
    rules: list[Rule] = Field(default_factory=list[Rule])


NAMED: Final[dict[str, Scenario]] = {
    "helpful": Scenario(),
    "flaky": Scenario(
        seed=1,
        rules=[
            Rule(fault="429", retry_after=1, chance=0.1),
            Rule(fault="503", chance=0.1),
            Rule(fault="cut", chance=0.05),
            Rule(fault="malformed", chance=0.1),
        ],
    ),
    **{fault: Scenario(rules=[Rule(fault=fault)]) for fault in FAULTS},
}
"""Scenarios that need no file; one for each fault."""


def scenario(name: str) -> Scenario:
    """Return a scenario by its name or from a file.

    Raises:
        UnknownScenario: There is neither.
        ValidationError: The file is not of the form.
    """
    if name in NAMED:
        return NAMED[name].model_copy(deep=True)
    path = Path(name)
    if not path.is_file():
        raise UnknownScenario(name, sorted(NAMED))
    return Scenario.model_validate(json.loads(path.read_text(encoding="utf-8")))


class Script:
    """A scenario while it is played."""

    def __init__(self, played: Scenario) -> None:
        """Take a scenario; its chances depend on its seed and on the order of requests alone."""
        self._rules = [(rule, [rule.times]) for rule in played.rules]
        self._chance = random.Random(played.seed)  # noqa: S311 # it decides faults, guards nothing

    def next(self, *, provider: str, tool: str, text: str) -> Rule:
        """Return what is done with a request."""
        for rule, left in self._rules:
            fits = (
                (rule.tool in (None, tool))
                and (rule.provider in (None, provider))
                and (rule.contains is None or rule.contains in text)
            )
            if not fits or left[0] == 0:
                continue
            if rule.chance < 1 and self._chance.random() >= rule.chance:
                continue
            if left[0] is not None:
                left[0] -= 1
            return rule
        return _AS_ASKED


_AS_ASKED: Final = Rule()
