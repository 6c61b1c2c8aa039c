"""A task graph as a picture: what needs what, where each task stands, and the critical path."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Final

from domain.graph import depths, order
from domain.scheduling.critical_path import critical_path
from domain.tasks import Task
from domain.values import TaskStatus
from projections.pictures.layout import HEIGHT, WIDTH, Layout, layout
from projections.pictures.routes import routes
from projections.pictures.svg import MARKS, document, fitted, label, said, shortened, span

MOST_BOXES: Final = 3_000
"""A graph with more tasks is drawn with one box for many: those alike in type, status and depth."""

MOST_COLUMNS: Final = 300
"""A deeper graph is bundled too, and then depths next to each other share a column."""

_MARGIN: Final = 24
_HEAD: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    name: str
    lines: tuple[str, str]
    status: TaskStatus
    is_critical: bool
    words: str


def draw_graph(title: str, tasks: Sequence[Task], statuses: Mapping[str, TaskStatus]) -> str:
    """Return the graph as SVG; a task of which no status is known is pending.

    Raises:
        CyclicGraph: Some tasks wait for each other.
    """
    path = critical_path(tasks)
    critical = frozenset(path.path)
    depth = depths(tasks)
    is_bundled = len(tasks) > MOST_BOXES or max(depth.values(), default=0) > MOST_COLUMNS
    if is_bundled:
        names, boxes, needs = _bundled(tasks, depth, statuses, critical)
    else:
        names, boxes, needs = _single(tasks, statuses, critical)
    steps = set[tuple[str, str]]() if is_bundled else set(pairwise(path.path))
    placed = layout(names, needs)
    counts = Counter(statuses.get(task.id, "pending") for task in tasks)
    told = ", ".join(f"{counts[name]} {name}" for name in MARKS if counts[name])
    summary = (
        f"{len(tasks)} tasks: {told}."
        f" Critical path of {len(path.path)} tasks, {span(path.makespan)}."
    )
    if is_bundled:
        summary += " One box stands for tasks alike."
    return document(
        title=title,
        description=summary,
        width=max(placed.width, 560) + 2 * _MARGIN,
        height=placed.height + _HEAD + 2 * _MARGIN,
        body=_body(title, summary, names, boxes, needs, steps, placed),
    )


def _single(
    tasks: Sequence[Task], statuses: Mapping[str, TaskStatus], critical: frozenset[str]
) -> tuple[Sequence[str], Mapping[str, _Box], Mapping[str, Sequence[str]]]:
    by_id = {task.id: task for task in tasks}
    boxes: dict[str, _Box] = {}
    for task in tasks:
        status = statuses.get(task.id, "pending")
        is_critical = task.id in critical
        takes = span(task.duration.total_seconds())
        path = ", on the critical path" if is_critical else ""
        boxes[task.id] = _Box(
            name=task.id,
            lines=(fitted(task.name, WIDTH - 24), f"{shortened(task.agent, 14)} · {takes}"),
            status=status,
            is_critical=is_critical,
            words=f"{task.id} {task.name}: {status}, {task.agent}, {takes}{path}",
        )
    return order(tasks), boxes, {name: task.needs for name, task in by_id.items()}


def _bundled(
    tasks: Sequence[Task],
    depth: Mapping[str, int],
    statuses: Mapping[str, TaskStatus],
    critical: frozenset[str],
) -> tuple[Sequence[str], Mapping[str, _Box], Mapping[str, Sequence[str]]]:
    band = ceil(max(depth.values()) / MOST_COLUMNS)
    bundle_of: dict[str, str] = {}
    members: dict[str, list[Task]] = {}
    for task in tasks:
        status = statuses.get(task.id, "pending")
        key = f"{(depth[task.id] - 1) // band:06}/{task.agent}/{status}"
        bundle_of[task.id] = key
        members.setdefault(key, []).append(task)
    # Inside of a band bundles may need each other both ways: only edges between bands are drawn.
    needs = {
        key: sorted(
            {
                bundle_of[need]
                for task in among
                for need in task.needs
                if (depth[need] - 1) // band < (depth[task.id] - 1) // band
            }
        )
        for key, among in members.items()
    }
    boxes: dict[str, _Box] = {}
    for key, among in members.items():
        status = statuses.get(among[0].id, "pending")
        takes = span(sum(task.duration.total_seconds() for task in among))
        boxes[key] = _Box(
            name=key,
            lines=(f"{len(among)} tasks", f"{shortened(among[0].agent, 14)} · {takes} together"),
            status=status,
            is_critical=any(task.id in critical for task in among),
            words=f"{len(among)} tasks of {among[0].agent}: {status}, {takes} together",
        )
    return sorted(members), boxes, needs


def _body(
    title: str,
    summary: str,
    names: Sequence[str],
    boxes: Mapping[str, _Box],
    needs: Mapping[str, Sequence[str]],
    steps: set[tuple[str, str]],
    placed: Layout,
) -> Iterator[str]:
    yield label(_MARGIN, _MARGIN + 16, shortened(title, 90), css="title")
    yield label(_MARGIN, _MARGIN + 36, summary, css="soft")
    yield f'<g transform="translate({_MARGIN} {_MARGIN + _HEAD})">\n'
    paths = routes(placed, needs)
    for edge, path in sorted(paths.items(), key=lambda item: item[0] in steps):
        kind = "edge critical" if edge in steps else "edge"
        yield f'<path class="{kind}" d="{path}"/>\n'
    for name in names:
        yield _box(boxes[name], placed)
    yield "</g>\n"


def _box(box: _Box, placed: Layout) -> str:
    place = placed.places[box.name]
    kind = "box critical" if box.is_critical else "box"
    first, second = box.lines
    note = " · critical" if box.is_critical else ""
    return (
        f'<g transform="translate({place.x} {place.y})"><title>{said(box.words)}</title>'
        f'<rect class="{kind}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>'
        f'<rect class="s-{box.status}" width="5" height="{HEIGHT}" rx="2"/>'
        f'<text x="14" y="19" class="name">{said(first)}</text>'
        f'<text x="14" y="35" class="soft">{said(second)}</text>'
        f'<text x="14" y="51" class="soft"><tspan class="mark s-{box.status}">'
        f"{MARKS[box.status]} {box.status}</tspan>{note}</text></g>\n"
    )
