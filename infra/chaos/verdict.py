"""Judges a run by its evidence: what was broken, and whether enough was done to break anything."""

from collections import Counter
from collections.abc import Mapping, Sequence

from infra.chaos.checker import fold
from infra.chaos.evidence import Evidence
from infra.chaos.points import CRASH_POINTS
from infra.chaos.rules import RULES, Case


def judge(evidence: Evidence) -> Mapping[str, Sequence[str]]:
    """Return the violations of every rule."""
    runs, contradictions = fold(evidence.events)
    case = Case(evidence=evidence, runs=runs, contradictions=contradictions)
    return {name: list(rule(case)) for name, rule in RULES.items()}


def lacking(evidence: Evidence) -> Sequence[str]:
    """Say what makes a run prove nothing: faults that did not fire, work that was not done."""
    runs = [line for line in evidence.lines if line.what == "run"]
    if not runs:
        return ["nothing says what was to be done"]
    wanted = runs[-1].said
    fired = Counter(
        line.name for line in evidence.lines if line.what == "over" and line.said.get("fired")
    )
    lacks = [
        f"{id_} fired {fired[id_]} times of {count}"
        for id_, count in wanted["faults"].items()
        if fired[id_] < count
    ]
    hit = hits(evidence)
    lacks += [
        f"{id_} was hit {hit[id_]} times of {count}"
        for id_, count in wanted["faults"].items()
        if id_ in {point.id for point in CRASH_POINTS} and hit[id_] < count
    ]
    # Where each fault has a number of its own, the number of all kills says nothing.
    if not wanted["times"] and (done := kills(evidence)) < wanted["kills"]:
        lacks.append(f"{done} processes were killed, of {wanted['kills']}")
    tasks = sum(line.said["tasks"] for line in evidence.lines if line.what == "ok")
    if tasks < wanted["tasks"]:
        lacks.append(f"{tasks} tasks were acknowledged, of {wanted['tasks']}")
    if not evidence.rebuilt:
        lacks.append("no view was folded again; runs and tasks alone were compared with the log")
    return lacks


def hits(evidence: Evidence) -> Counter[str]:
    """Count by crash point how often a process has died there, as it wrote down itself."""
    points = {(point.kind, point.name): point.id for point in CRASH_POINTS}
    return Counter(
        points[hit.process, hit.point]  # type: ignore[index] # a kind of process
        for hit in evidence.hits
        if hit.mode == "kill" and (hit.process, hit.point) in points
    )


def kills(evidence: Evidence) -> int:
    """Count the processes that were killed with signal 9."""
    return sum(line.what == "death" and line.said["code"] == -9 for line in evidence.lines)
