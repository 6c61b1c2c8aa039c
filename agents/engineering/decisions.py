"""Weighted decisions: criteria brought to 0 … 1, weighted, added."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A choice and how well it does, from 0 to 1."""

    name: str
    score: float


def normalised(values: Mapping[str, float], *, is_cost: bool) -> dict[str, float]:
    """Bring values to 0 … 1 between the worst and the best; equal values are all best."""
    least, most = min(values.values()), max(values.values())
    if most == least:
        return dict.fromkeys(values, 1.0)
    return {
        name: (most - value if is_cost else value - least) / (most - least)
        for name, value in values.items()
    }


def rank(
    scores: Mapping[str, Mapping[str, float]], weights: Mapping[str, float]
) -> tuple[Ranked, ...]:
    """Order choices by Σ wᵢ sᵢ / Σ wᵢ, the best first, equals by name; an unscored one is 0."""
    whole = sum(weights.values())
    ranked = [
        Ranked(
            name=name,
            score=sum(weight * score.get(key, 0.0) for key, weight in weights.items()) / whole,
        )
        for name, score in scores.items()
    ]
    return tuple(sorted(ranked, key=lambda choice: (-choice.score, choice.name)))
