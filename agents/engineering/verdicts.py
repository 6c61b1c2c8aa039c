"""Requirements as numbers with limits, judged by the results of tasks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from domain.values import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A measurable requirement."""

    id: str
    text: str
    metric: str
    comparator: Literal[">=", "<="]
    limit: float
    evidence: str
    """The artefact that carries the metric."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a requirement is met, and by which number; None where there is no evidence."""

    id: str
    metric: str
    comparator: str
    limit: float
    value: float | None
    met: bool | None
    evidence: str


def judge(target: Target, results: Mapping[str, JsonObject]) -> Verdict:
    """Compare a target with the metric in the artefact that is its evidence."""
    value = results.get(target.evidence, {}).get(target.metric)
    number = float(value) if isinstance(value, int | float) else None
    met = None
    if number is not None:
        met = number >= target.limit if target.comparator == ">=" else number <= target.limit
    return Verdict(
        id=target.id,
        metric=target.metric,
        comparator=target.comparator,
        limit=target.limit,
        value=number,
        met=met,
        evidence=target.evidence,
    )
