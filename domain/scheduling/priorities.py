"""Priority rules: which activity comes first when not all can.

The rules are the classical ones (Kolisch, "Efficient priority rules for the resource-constrained
project scheduling problem", 1996). Every rule gives a number for each activity; the smallest comes
first, and of equal ones the first in the numbering of the project.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from domain.scheduling.network import Network, Time

Rule = Callable[[Network], Sequence[Time]]


def latest_finish(project: Network) -> Sequence[Time]:
    """LFT: first what has to end first if the end is not to move."""
    return [
        duration - tail for duration, tail in zip(project.durations, project.tails, strict=True)
    ]


def latest_start(project: Network) -> Sequence[Time]:
    """LST: first what has to start first."""
    return [-tail for tail in project.tails]


def slack(project: Network) -> Sequence[Time]:
    """MSLK: first what can slip least."""
    return [-e - t for e, t in zip(project.earliest, project.tails, strict=True)]


def most_successors(project: Network) -> Sequence[Time]:
    """MTS: first what most others wait for, directly or not."""
    behind = [0] * len(project)
    for each in reversed(range(len(project))):
        for follower in project.after[each]:
            # A bit for each activity: a union of many sets is one operation.
            behind[each] |= behind[follower] | 1 << follower
    return [-each.bit_count() for each in behind]


def greatest_weight(project: Network) -> Sequence[Time]:
    """GRPW: first what weighs most, with all that directly follows it."""
    durations = project.durations
    return [
        -durations[each] - sum(durations[f] for f in project.after[each])
        for each in range(len(project))
    ]


def scarcest_work(project: Network) -> Sequence[Time]:
    """First what begins the chain with the most work, counted in shares of its resources.

    The weighted form of LST: a duration counts more where its demand leaves less for others.
    """
    weights: list[float] = []
    for duration, demand in zip(project.durations, project.demands, strict=True):
        share = max(
            (d / c for d, c in zip(demand, project.capacities, strict=True) if d), default=0.0
        )
        weights.append(duration * (1 + share))
    tails: list[float] = [0.0] * len(project)
    for each in reversed(range(len(project))):
        following = max((tails[f] for f in project.after[each]), default=0.0)
        tails[each] = weights[each] + following
    return [-each for each in tails]


RULES: Final[Mapping[str, Rule]] = {
    "LFT": latest_finish,
    "LST": latest_start,
    "MTS": most_successors,
    "SCARCE": scarcest_work,
    "MSLK": slack,
    "GRPW": greatest_weight,
}
"""By the names that the literature has for them."""
