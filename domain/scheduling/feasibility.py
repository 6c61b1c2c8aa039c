"""Whether a schedule can be carried out."""

from collections.abc import Sequence
from itertools import chain

from domain.scheduling.network import Network, Time


def is_feasible(project: Network, starts: Sequence[Time]) -> bool:
    """Return whether every need has ended and every resource suffices whenever something starts."""
    durations = project.durations
    for each, needed in enumerate(project.before):
        if starts[each] < max((starts[n] + durations[n] for n in needed), default=0):
            return False
    for resource, capacity in enumerate(project.capacities):
        users = [
            each
            for each, demand in enumerate(project.demands)
            if demand[resource] and durations[each]
        ]
        taken = ((starts[each], project.demands[each][resource]) for each in users)
        given = ((starts[e] + durations[e], -project.demands[e][resource]) for e in users)
        held = 0
        for _, amount in sorted(chain(taken, given)):  # what is given back comes first
            held += amount
            if held > capacity:
                return False
    return True
