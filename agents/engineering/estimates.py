"""Three-point estimates: PERT by formula, and by simulation.

Source: Malcolm, Roseboom, Clark and Fazar, "Application of a technique for research and
development program evaluation", Operations Research 7 (1959).
"""

from dataclasses import dataclass
from math import sqrt
from random import Random


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreePoint:
    """An estimate as people give it: at best, most likely, at worst; in hours."""

    optimistic: float
    likely: float
    pessimistic: float

    @property
    def expected(self) -> float:
        """The expected value, (o + 4 m + p) / 6."""
        return (self.optimistic + 4 * self.likely + self.pessimistic) / 6

    @property
    def deviation(self) -> float:
        """The standard deviation, (p - o) / 6."""
        return (self.pessimistic - self.optimistic) / 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """The sum of independent estimates, in hours."""

    expected: float
    deviation: float

    @property
    def p80(self) -> float:
        """What is enough four times in five: if the sum is normal, 0.8416 deviations more."""
        return self.expected + 0.8416 * self.deviation


def total(estimates: list[ThreePoint]) -> Total:
    """Return the sum: expectations add, variances add."""
    return Total(
        expected=sum(estimate.expected for estimate in estimates),
        deviation=sqrt(sum(estimate.deviation**2 for estimate in estimates)),
    )


def simulated_p80(estimates: list[ThreePoint], *, rounds: int, seed: int) -> float:
    """Return what is enough four times in five by drawing from triangles; seeded."""
    chance = Random(seed)  # noqa: S311 # a simulation, nothing secret
    sums = sorted(
        sum(chance.triangular(each.optimistic, each.pessimistic, each.likely) for each in estimates)
        for _ in range(rounds)
    )
    return sums[min(rounds - 1, int(0.8 * rounds))]
