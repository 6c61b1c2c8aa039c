"""How many participants a comparison of two groups needs, and how long it takes to find them.

Sources: J. Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd ed. 1988, section 2.4
(standardised difference, power of the t test); W. C. Guenther, "Sample size formulas for normal
theory t tests", The American Statistician 35 (1981) (the correction z²/4); Abramowitz and Stegun,
Handbook of Mathematical Functions, 26.7.5 (quantiles of Student's t). In the formulas z is the
normal quantile of half the significance, z' that of the power.
"""

from dataclasses import dataclass
from math import ceil, sqrt
from random import Random
from statistics import NormalDist

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a study asks: how small a difference it has to see, and how surely."""

    effect_size: float
    """The difference of the means, in standard deviations."""

    significance: float
    minimum_power: float
    dropout: float
    recruits_per_week: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Two groups of the same size."""

    per_group: int
    """Who stays to the end, in each group."""

    enrolled: int
    """Who has to be found, in both groups together."""


def per_group(question: Question) -> int:
    """Return the size of a group by the normal formula, n = 2 ((z + z') / d)²."""
    return ceil(2 * (_critical(question) + _wanted(question)) ** 2 / question.effect_size**2)


def corrected(question: Question) -> int:
    """Return the size of a group for a t test: Guenther adds z² / 4."""
    return per_group(question) + ceil(_critical(question) ** 2 / 4)


def enrolled(size: int, *, dropout: float) -> int:
    """Return how many have to be found so that both groups keep their size."""
    return 2 * ceil(size / (1 - dropout))


def power(size: int, question: Question) -> float:
    """Return the power by the normal formula, Φ(d √(n/2) - z)."""
    return _NORMAL.cdf(question.effect_size * sqrt(size / 2) - _critical(question))


def simulated_power(size: int, question: Question, *, rounds: int, seed: int) -> float:
    """Draw studies, and return the share in which a t test sees the difference.

    Of each group only mean and variance are drawn: they are independent, normal and χ².
    """
    chance = Random(seed)  # noqa: S311 # an experiment, not a secret
    freedom = 2 * size - 2
    critical = student_quantile(1 - question.significance / 2, freedom=freedom)
    seen = 0
    for _ in range(rounds):
        difference = chance.gauss(question.effect_size, sqrt(2 / size))
        variance = chance.gammavariate(freedom / 2, 2) / freedom
        seen += abs(difference) / sqrt(2 * variance / size) > critical
    return seen / rounds


def student_quantile(share: float, *, freedom: int) -> float:
    """Return the quantile of Student's t, by its expansion around the normal one."""
    z = _NORMAL.inv_cdf(share)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def weeks_to_recruit(people: int, *, per_week: float, surely: float = 0.8) -> float:
    """Return after how many weeks enough are found, with that probability.

    Arrivals are Poisson: the time is gamma with mean n/r and deviation √n/r, nearly normal.
    """
    return (people + _NORMAL.inv_cdf(surely) * sqrt(people)) / per_week


def _critical(question: Question) -> float:
    return _NORMAL.inv_cdf(1 - question.significance / 2)


def _wanted(question: Question) -> float:
    return _NORMAL.inv_cdf(question.minimum_power)
