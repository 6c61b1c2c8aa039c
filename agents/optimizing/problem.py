"""What is said to the solver, and what it answers: JSON between two processes."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

Status = Literal["optimal", "feasible", "unknown", "unavailable", "too_large"]
"""What became of a solver's attempt.

``optimal``     there is no shorter schedule, and that is proved
``feasible``    the time ran out before either was known: whether there is, or that there is none
``unknown``     the solver has said nothing that helps: the schedule is the one that it was given
``unavailable`` there is no solver: the extra ``optimize`` is not installed, or its process died
``too_large``   the project is more than a solver is asked to look at
"""


class Problem(BaseModel):
    """A project with a schedule to begin with, all in whole numbers."""

    model_config = ConfigDict(frozen=True)

    durations: Sequence[int]
    after: Sequence[Sequence[int]]
    demands: Sequence[Sequence[int]]
    capacities: Sequence[int]
    earliest: Sequence[int]
    tails: Sequence[int]
    starts: Sequence[int]
    """A schedule that is known: the solver has to find none that is longer."""

    makespan: int
    bound: int
    seconds: float
    workers: int


class Solution(BaseModel):
    """The best schedule that the solver knows."""

    model_config = ConfigDict(frozen=True)

    status: Status
    starts: Sequence[int]
    bound: int
