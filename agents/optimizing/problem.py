"""What is said to the solver, and what it answers: JSON between two processes."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from domain.scheduling.schedules import SolverStatus


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

    status: SolverStatus
    starts: Sequence[int]
    bound: int
