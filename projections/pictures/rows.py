"""In which row each box of a column goes: near to what it is joined to, in the order it has.

Each column is settled as a regression that keeps an order, by pooling neighbours that want to pass
each other: Barlow, Bartholomew, Bremner and Brunk, "Statistical Inference under Order
Restrictions", 1972.
"""

from collections.abc import Mapping, Sequence
from math import floor
from typing import Final

_PASSES: Final = 3


def rows_of(
    columns: Sequence[Sequence[str]],
    needs: Mapping[str, Sequence[str]],
    followers: Mapping[str, Sequence[str]],
) -> Mapping[str, int]:
    """Return the row of each box, from 0; those of one column differ."""
    height = max(map(len, columns), default=0)
    rows = {
        name: (height - len(column)) // 2 + number
        for column in columns
        for number, name in enumerate(column)
    }
    for number in range(_PASSES):
        forward = number % 2 == 0
        near = needs if forward else followers
        for column in columns if forward else reversed(columns):
            wanted = [_middle(name, near[name], rows) for name in column]
            rows.update(zip(column, _settled(wanted, height), strict=True))
    return rows


def _middle(name: str, near: Sequence[str], rows: Mapping[str, int]) -> float:
    return sum(rows[each] for each in near) / len(near) if near else rows[name]


def _settled(wanted: Sequence[float], height: int) -> Sequence[int]:
    """Return rows in rising order that are as near as can be to those wanted."""
    pools: list[tuple[float, int]] = []  # mean, size
    for number, row in enumerate(wanted):
        mean, size = row - number, 1
        while pools and pools[-1][0] >= mean:
            other, count = pools.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        pools.append((mean, size))
    free = height - len(wanted)
    firsts = [min(max(floor(mean + 0.5), 0), free) for mean, size in pools for _ in range(size)]
    return [first + number for number, first in enumerate(firsts)]
