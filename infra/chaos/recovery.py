"""How long each fault was felt: from the moment it was there to the first sign that it is over."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from infra.chaos.checker import Event
from infra.chaos.evidence import Evidence
from infra.chaos.faults.catalogue import FAULTS
from infra.chaos.history import Line

_SERVERS: Final = ("F-B1a", "F-B1b", "F-B4", "F-B8", "F-P4a", "F-P4b")
"""While these last nothing can go on: the sign counts once the server is back."""

_FELT_S: Final = 90.0
"""What shows no sign for longer had nothing to show: no work was there, or the run was over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """One fault, and how long until what it hit went on, in seconds."""

    fault: str
    at: float
    seconds: float
    lasted: float
    """How long the fault itself was there, until a killed server was back."""


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that so large a share of the others does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def recoveries(evidence: Evidence) -> Sequence[Recovery]:
    """Return the recovery from every fault that shows one."""
    signs = _Signs(evidence)
    found: list[Recovery] = []
    for begun, over in _pairs(evidence.lines):
        fault = FAULTS.get(begun.name)
        if fault is None or not over.said.get("fired"):
            continue
        lasted = over.at - begun.at
        # A crash point is only there when the process has died: until then it was armed.
        at = signs.death_in(begun, over) if fault.family in ("crash", "kill") else begun.at
        if at is None:
            continue
        since = over.at if begun.name in _SERVERS else at
        sign = signs.moved(at, over) if fault.heals == "moved" else signs.after(fault.heals, since)
        if sign is not None and sign - at <= _FELT_S:
            found.append(
                Recovery(fault=begun.name, at=at, seconds=max(sign - at, 0.0), lasted=lasted)
            )
    return found


class _Signs:
    def __init__(self, evidence: Evidence) -> None:
        lines, events = evidence.lines, evidence.events
        times = [_time(event) for event in events]
        self._at: Mapping[str, Sequence[float]] = {
            "completed": sorted(
                at
                for event, at in zip(events, times, strict=True)
                if event.type == "task.completed"
            ),
            "acknowledged": [line.at for line in lines if line.what in ("ok", "repeated")],
            "projected": [line.at for line in lines if line.what == "projected"],
        }
        self._deaths = [line for line in lines if line.what == "death"]
        self._history: dict[tuple[str, str], list[tuple[float, Event]]] = defaultdict(list)
        self._started: dict[str, list[tuple[float, Event]]] = defaultdict(list)
        for event, at in zip(events, times, strict=True):
            if event.stream.startswith("exec_") and "task_id" in event.body:
                self._history[event.stream, event.body["task_id"]].append((at, event))
                if event.type == "task.started":
                    self._started[event.body["agent_id"]].append((at, event))

    def after(self, sign: str, since: float) -> float | None:
        """Return when the first sign of a kind came after a moment."""
        times = self._at[sign]
        place = bisect_right(times, since)
        return times[place] if place < len(times) else None

    def death_in(self, begun: Line, over: Line) -> float | None:
        """Return when the process that a fault killed was seen dead."""
        victims = over.said.get("died") or over.said.get("victims") or ()
        deaths = (
            death.at
            for death in self._deaths
            if death.name in victims and begun.at - 0.01 <= death.at <= over.at + 1
        )
        return min(deaths, default=None)

    def moved(self, at: float, over: Line) -> float | None:
        """Return when all that an agent had in hand had been started again, or ended.

        ``None`` where it had nothing.
        """
        victims = over.said.get("died") or over.said.get("victims") or ()
        signs: list[float] = []
        for victim in victims:
            started = self._started.get(victim, [])
            low = bisect_left(started, at - _FELT_S, key=lambda one: one[0])
            high = bisect_right(started, at, key=lambda one: one[0])
            for _, event in started[low:high]:
                told = self._history[event.stream, event.body["task_id"]]
                place = next(n for n, (_, one) in enumerate(told) if one is event)
                following = told[place + 1 :]
                if following and following[0][0] <= at:
                    continue
                again = (
                    when
                    for when, one in following
                    if one.type in ("task.started", "task.completed", "task.cancelled")
                )
                if (sign := next(again, None)) is not None:
                    signs.append(sign)
        return max(signs, default=None)


def _pairs(lines: Sequence[Line]) -> Sequence[tuple[Line, Line]]:
    """Return each fault with the line that says it is over."""
    begun: dict[str, Line] = {}
    found: list[tuple[Line, Line]] = []
    for line in lines:
        if line.what == "fault":
            begun[line.name] = line
        elif line.what == "over" and line.name in begun:
            found.append((begun.pop(line.name), line))
    return found


def _time(event: Event) -> float:
    return datetime.fromisoformat(event.at).timestamp() if event.at else 0.0
