"""A plan and its run as bars over time: what was promised above, what has happened below.

Both have an axis of their own: estimates may be hours where agents take seconds. The bars of one
agent type share a lane, which is as high as it has work at once.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

from domain.scheduling.critical_path import critical_path
from domain.scheduling.schedules import Schedule
from domain.tasks import Task
from domain.values import TaskStatus
from projections.pictures.svg import (
    MARKS,
    document,
    label,
    said,
    shortened,
    span,
    striped,
    stripes,
)

MOST_ROWS: Final = 400
"""Rows of one part of the picture: what does not fit is counted in words."""

_CHART: Final = 1_040
_NAMES: Final = 150
_ROW: Final = 20
_MARGIN: Final = 24
_TICKS: Final = 6
_NARROW: Final = 34
"""A bar that is no wider than this has no room for words, and is cut across instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """When a task was, or is to be, in somebody's hands: seconds from the beginning."""

    task: Task
    start: float
    end: float
    status: TaskStatus | None = None
    """Where it stands; None of what is only planned."""

    agent_id: str = ""


def planned_bars(tasks: Sequence[Task], schedule: Schedule) -> Sequence[Bar]:
    """Return what a schedule promises."""
    return [
        Bar(
            task=task,
            start=schedule.starts[task.id],
            end=schedule.starts[task.id] + task.duration.total_seconds(),
        )
        for task in tasks
        if task.id in schedule.starts
    ]


def draw_gantt(
    title: str, tasks: Sequence[Task], planned: Sequence[Bar], actual: Sequence[Bar]
) -> str:
    """Return both as SVG; without a run there is only the plan.

    Raises:
        CyclicGraph: Some tasks wait for each other.
    """
    critical = frozenset(critical_path(tasks).path)
    top = _MARGIN + 66
    parts: list[str] = [label(_MARGIN, _MARGIN + 16, shortened(title, 90), css="title")]
    parts.append(stripes())
    words: list[str] = []
    for what, bars in (("Planned", planned), ("Actual", actual)):
        if not bars:
            continue
        takes = max(bar.end for bar in bars)
        words.append(f"{what}: {len(bars)} tasks in {span(takes)}")
        drawn, height = _part(f"{what}, {span(takes)}", bars, critical, takes, top)
        parts += drawn
        top += height + 34
    summary = ". ".join(words) + "." if words else "There is no schedule yet."
    parts.insert(1, label(_MARGIN, _MARGIN + 36, summary, css="soft"))
    parts.append(_legend({bar.status for bar in actual if bar.status}, top))
    return document(
        title=title,
        description=summary,
        width=_NAMES + _CHART + 2 * _MARGIN,
        height=top + _MARGIN,
        body=parts,
    )


def _part(
    what: str, bars: Sequence[Bar], critical: frozenset[str], takes: float, top: int
) -> tuple[list[str], int]:
    lanes = _lanes(bars)
    scale = _CHART / takes if takes else 0.0
    left = _MARGIN + _NAMES
    parts = [label(_MARGIN, top, what, css="name")]
    y = top + 12
    drawn = 0
    for number, (agent, rows) in enumerate(lanes.items()):
        shown = rows[: max(0, MOST_ROWS - drawn)]
        drawn += len(shown)
        height = max(1, len(shown)) * _ROW + 6
        if number % 2 == 0:
            parts.append(
                f'<rect class="lane" x="{_MARGIN}" y="{y}" width="{_NAMES + _CHART}"'
                f' height="{height}"/>\n'
            )
        parts.append(label(_MARGIN + 6, y + 17, shortened(agent, 18)))
        if len(shown) < len(rows):
            more = f"{len(rows) - len(shown)} more rows"
            parts.append(label(left - 8, y + 17, more, css="soft", anchor="end"))
        for row, among in enumerate(shown):
            parts += [
                _bar(bar, left, y + 3 + row * _ROW, scale, is_critical=bar.task.id in critical)
                for bar in among
            ]
        y += height
    parts += _axis(left, top + 12, y, takes)
    return parts, y - top + 14


def _lanes(bars: Sequence[Bar]) -> Mapping[str, list[list[Bar]]]:
    """Put bars of a type into as few rows as possible, none over another."""
    lanes: dict[str, list[list[Bar]]] = {}
    free: dict[str, list[tuple[float, int]]] = {}
    for bar in sorted(bars, key=lambda bar: (bar.task.agent, bar.start, bar.end, bar.task.id)):
        rows, ends = lanes.setdefault(bar.task.agent, []), free.setdefault(bar.task.agent, [])
        if ends and ends[0][0] <= bar.start:
            _, row = heapq.heappop(ends)
            rows[row].append(bar)
        else:
            row = len(rows)
            rows.append([bar])
        heapq.heappush(ends, (bar.end, row))
    return lanes


def _bar(bar: Bar, left: int, y: int, scale: float, *, is_critical: bool) -> str:
    x, width = left + bar.start * scale, max((bar.end - bar.start) * scale, 1.5)
    by = f", by {bar.agent_id}" if bar.agent_id else ""
    where = f", {bar.status}{by}" if bar.status else ", planned"
    path = ", on the critical path" if is_critical else ""
    words = f"{bar.task.id} {bar.task.name}: from {span(bar.start)} to {span(bar.end)}{where}{path}"
    mark = f"{MARKS[bar.status]} " if bar.status else ""
    text = shortened(f"{mark}{bar.task.name}", int((width - 8) / 6.5)) if width > _NARROW else ""
    css = "on" if bar.status else "soft"
    inner = label(round(x + 4, 1), y + 12, text, css=css) if text else ""
    outline = _outline(bar.status, x, y, width, is_critical=is_critical)
    return f"<g><title>{said(words)}</title>{outline}{inner}</g>\n"


def _outline(
    status: TaskStatus | None, x: float, y: int, width: float, *, is_critical: bool
) -> str:
    border = " critical" if is_critical else ""
    size = f'x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_ROW - 4}" rx="2"'
    if status is None:
        return f'<rect class="box{border}" {size}/>'
    if width > _NARROW:
        return f'<rect class="s-{status}{border}" {size}/>'
    css = f' class="{border.strip()}"' if border else ""
    return f'<rect{css} fill="{striped(status)}" {size}/>'


def _legend(statuses: Set[TaskStatus], top: int) -> str:
    """Say what the stripes mean, for the statuses that are there."""
    there: list[TaskStatus] = [status for status in MARKS if status in statuses]
    return "".join(
        f"{_outline(status, _MARGIN + number * 120, top - 20, 14, is_critical=False)}"
        f"{label(_MARGIN + number * 120 + 20, top - 8, f'{MARKS[status]} {status}', css='soft')}"
        for number, status in enumerate(there)
    )


def _axis(left: int, top: int, bottom: int, takes: float) -> Iterator[str]:
    for number in range(_TICKS + 1):
        x = left + _CHART * number / _TICKS
        yield f'<path class="grid" d="M{x:g} {top}V{bottom}"/>\n'
        anchor = "end" if number == _TICKS else "middle"
        yield label(x, bottom + 13, span(takes * number / _TICKS), css="soft", anchor=anchor)
