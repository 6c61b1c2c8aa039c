"""Where the boxes of a graph go: in layers from left to right, with few crossings.

After Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System
Structures", 1981: layers by the longest path, then each layer is ordered by where its neighbours
are (barycentre), a few times to and fro. A layer with many boxes takes several columns. Boxes stand
on a grid: between two rows there is a way through all columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Final

from projections.pictures.rows import rows_of

WIDTH: Final = 216
HEIGHT: Final = 58
GAP_X: Final = 64
GAP_Y: Final = 20
_SWEEPS: Final = 6
_LEAST_ROWS: Final = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The upper left corner of a box, in pixels."""

    x: int
    y: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where every box is, and how large the picture is."""

    places: Mapping[str, Place]
    width: int
    height: int


def layout(names: Sequence[str], needs: Mapping[str, Sequence[str]]) -> Layout:
    """Return where boxes go: every edge leads to the right, and no two boxes meet.

    ``names`` are in an order that respects the edges; the same graph is always laid out the same.
    """
    followers = _followers(needs)
    layers = _layers(names, needs)
    _untangle(layers, needs, followers)
    most = max(_LEAST_ROWS, ceil(sqrt(len(names)) * 1.2))
    columns = [column for layer in layers for column in _columns(layer, most)]
    rows = rows_of(columns, needs, followers)
    places = {
        name: Place(x=number * (WIDTH + GAP_X), y=rows[name] * (HEIGHT + GAP_Y))
        for number, column in enumerate(columns)
        for name in column
    }
    return Layout(
        places=places,
        width=max(len(columns), 1) * (WIDTH + GAP_X) - GAP_X,
        height=max(map(len, columns), default=1) * (HEIGHT + GAP_Y) - GAP_Y,
    )


def _followers(needs: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
    followers: dict[str, list[str]] = {name: [] for name in needs}
    for name, before in needs.items():
        for need in before:
            followers[need].append(name)
    return followers


def _columns(layer: Sequence[str], most: int) -> Sequence[Sequence[str]]:
    each = ceil(len(layer) / ceil(len(layer) / most))
    return [layer[first : first + each] for first in range(0, len(layer), each)]


def _layers(names: Sequence[str], needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    depth: dict[str, int] = {}
    layers: list[list[str]] = []
    for name in names:
        depth[name] = max((depth[need] + 1 for need in needs[name]), default=0)
        if depth[name] == len(layers):
            layers.append([])
        layers[depth[name]].append(name)
    return layers


def _untangle(
    layers: Sequence[list[str]],
    needs: Mapping[str, Sequence[str]],
    followers: Mapping[str, Sequence[str]],
) -> None:
    place = {name: _share(layer, row) for layer in layers for row, name in enumerate(layer)}
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        neighbours = needs if forward else followers
        for layer in layers if forward else reversed(layers):
            layer.sort(key=lambda name: (_middle(name, neighbours, place), name))
            for row, name in enumerate(layer):
                place[name] = _share(layer, row)


def _share(layer: Sequence[str], row: int) -> float:
    return (row + 0.5) / len(layer)


def _middle(
    name: str, neighbours: Mapping[str, Sequence[str]], place: Mapping[str, float]
) -> float:
    near = neighbours[name]
    return sum(place[each] for each in near) / len(near) if near else place[name]
