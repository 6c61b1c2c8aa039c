"""A risk register: probability times impact, ordered, and what mitigation leaves.

Source: ISO 31010:2019, annex B.10.3 (consequence/likelihood matrix).
"""

from dataclasses import dataclass

from agents.catalogue.shelf import RiskForm

MITIGATED_SHARE = 0.4
"""Which share of a probability is assumed to remain after its mitigation."""

HIGH_SCORE = 1.0
MEDIUM_SCORE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """A risk with its score, from 0 to 5."""

    name: str
    probability: float
    impact: int
    score: float
    level: str
    owner: str
    mitigation: str


def assess(form: RiskForm, *, pressure: float = 1.0) -> Risk:
    """Score a risk; pressure of time or money raises its probability, to 0.95 at most."""
    probability = min(0.95, form.probability * pressure)
    score = probability * form.impact
    level = "high" if score >= HIGH_SCORE else "medium" if score >= MEDIUM_SCORE else "low"
    return Risk(
        name=form.name,
        probability=probability,
        impact=form.impact,
        score=score,
        level=level,
        owner=form.owner,
        mitigation=form.mitigation,
    )


def residual(score: float) -> float:
    """Return what is left of a score after its mitigation."""
    return score * MITIGATED_SHARE
