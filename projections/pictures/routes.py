"""How edges go from box to box: between the boxes, never behind one.

Boxes stand on a grid, so between two rows there is a way through all columns. An edge to the next
column is a curve through the gap between both. One that leads further takes a way beside one of its
ends, which it shares with the other long edges of that end.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from projections.pictures.layout import GAP_X, GAP_Y, HEIGHT, WIDTH, Layout, Place

_TRACKS: Final = (0, 4, -4, 2, -2, 6, -6)
"""Where the edges of different ends go that have the same way: pixels from its middle."""


class Edge(NamedTuple):
    """What leads from one box to another."""

    source: str
    target: str


def routes(placed: Layout, needs: Mapping[str, Sequence[str]]) -> Mapping[Edge, str]:
    """Return the path of each edge, as SVG has it."""
    edges = [Edge(need, name) for name, before in needs.items() for need in before]
    long = [edge for edge in edges if _is_long(placed, edge)]
    leaving = Counter(edge.source for edge in long)
    arriving = Counter(edge.target for edge in long)
    tracks: dict[tuple[int, str], int] = {}
    used = Counter[int]()

    def way(edge: Edge) -> int:
        a, b = placed.places[edge.source], placed.places[edge.target]
        shares = leaving[edge.source] >= arriving[edge.target]
        end, other = (a, b) if shares else (b, a)
        beside = end.y - GAP_Y // 2 if other.y < end.y else end.y + HEIGHT + GAP_Y // 2
        name = edge.source if shares else edge.target
        if (beside, name) not in tracks:
            tracks[beside, name] = _TRACKS[used[beside] % len(_TRACKS)]
            used[beside] += 1
        return beside + tracks[beside, name]

    paths = {edge: _short(placed, edge) for edge in edges}
    paths |= {edge: _through(placed, edge, way(edge)) for edge in long}
    return paths


def _is_long(placed: Layout, edge: Edge) -> bool:
    a, b = placed.places[edge.source], placed.places[edge.target]
    return b.x - a.x > WIDTH + GAP_X


def _short(placed: Layout, edge: Edge) -> str:
    (x1, y1), (x2, y2) = _out(placed.places[edge.source]), _in(placed.places[edge.target])
    return f"M{x1} {y1}{_curve(x1, y1, x2, y2)}"


def _through(placed: Layout, edge: Edge, way: int) -> str:
    (x1, y1), (x2, y2) = _out(placed.places[edge.source]), _in(placed.places[edge.target])
    begin, end = x1 + GAP_X, x2 - GAP_X
    return f"M{x1} {y1}{_curve(x1, y1, begin, way)}H{end}{_curve(end, way, x2, y2)}"


def _out(place: Place) -> tuple[int, int]:
    return place.x + WIDTH, place.y + HEIGHT // 2


def _in(place: Place) -> tuple[int, int]:
    return place.x, place.y + HEIGHT // 2


def _curve(x1: int, y1: int, x2: int, y2: int) -> str:
    middle = (x1 + x2) // 2
    return f"C{middle} {y1} {middle} {y2} {x2} {y2}"
