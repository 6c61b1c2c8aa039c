"""New orders from good ones: a piece of one in the frame of another, and a few neighbours swapped.

The two-point crossover and the mutation of Hartmann, "A competitive genetic algorithm for
resource-constrained project scheduling", 1998.
"""

from collections.abc import Sequence

from domain.scheduling.network import Network


class Chance:
    """A row of numbers without a pattern, always the same (Knuth's MMIX generator)."""

    def __init__(self) -> None:
        self._state = 0

    def below(self, limit: int) -> int:
        """Return the next number, from 0 to below the limit."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self._state >> 33) % limit


def recombined(project: Network, parents: Sequence[tuple[int, ...]], chance: Chance) -> list[int]:
    """Return an order whose middle is as one parent has it, the rest as the other."""
    size = len(project)
    mother, father = _chosen(parents, chance), _chosen(parents, chance)
    one, two = chance.below(size + 1), chance.below(size + 1)
    first, second = min(one, two), max(one, two)
    order = list(mother[:first])
    taken = set(order)
    for each in father:
        if len(order) == second:
            break
        if each not in taken:
            order.append(each)
            taken.add(each)
    order.extend(each for each in mother if each not in taken)
    for place in range(1, size):
        if chance.below(_RARELY) == 0 and order[place - 1] not in project.before[order[place]]:
            order[place - 1], order[place] = order[place], order[place - 1]
    return order


_RARELY = 20


def _chosen(parents: Sequence[tuple[int, ...]], chance: Chance) -> tuple[int, ...]:
    return parents[min(chance.below(len(parents)), chance.below(len(parents)))]
