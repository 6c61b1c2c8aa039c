"""Choices, checks and release of a design: the same for designs of every kind."""

from dataclasses import asdict
from math import sqrt

from agents.agent import CannotBeDone, Work
from agents.catalogue.shelf import kind, materials
from agents.engineering.decisions import normalised, rank
from agents.reading import needed, read, result, shaped
from agents.skills.asked import asked, chosen, material_of, missing_of
from agents.skills.bill import Line
from domain.values import JsonObject

LEAST_WALL_M = {
    "iron": 0.004,
    "aluminium": 0.0035,
    "composite": 0.0008,
    "steel": 0.0016,
    "polymer": 0.0032,
}
"""Casting practice for housings (ASM Handbook vol. 15); for tubes and cups a quarter of it."""

DIMENSIONS = (
    "bridge_length_m",
    "cylinder_length_m",
    "length_m",
    "wall_thickness_m",
    "finger_thickness_m",
)
"""The dimensions of a design that add up, where it has them."""

SECONDS_PER_ESSENTIAL_PART = 3.0
"""Boothroyd and Dewhurst's ideal time to grasp, orient and insert one part."""


async def select_material(work: Work) -> JsonObject:
    """Choose a material by specific strength, heat conduction and price."""
    use = kind(asked(work).kind).material_use
    fit = {entry.name: entry for entry in materials() if use in entry.uses}
    if not fit:
        raise CannotBeDone(f"the catalogue has no material for a {asked(work).kind}")
    weights = _weights(work, {"strength": 0.35, "stiffness": 0.2, "conduction": 0.15, "price": 0.3})
    measures = {
        "strength": ({n: m.yield_pa / m.density_kg_m3 for n, m in fit.items()}, False),
        "stiffness": ({n: m.youngs_modulus_pa / m.density_kg_m3 for n, m in fit.items()}, False),
        "conduction": ({n: m.conductivity_w_mk for n, m in fit.items()}, False),
        "price": ({n: m.price_per_kg * m.density_kg_m3 for n, m in fit.items()}, True),
    }
    columns = {
        name: normalised(values, is_cost=is_cost) for name, (values, is_cost) in measures.items()
    }
    scores = {name: {key: column[name] for key, column in columns.items()} for name in fit}
    ranking = rank(scores, weights)
    best = fit[ranking[0].name]
    return result(
        f"{best.name} with {ranking[0].score:.2f}, of {len(ranking)}",
        chosen(best),
        {"source": best.source, "ranking": [asdict(each) for each in ranking], "weights": weights},
    )


async def choose_concept(work: Work) -> JsonObject:
    """Choose one way to do it by weighted scores."""
    options = {option.name: option.scores for option in kind(asked(work).kind).options}
    if not options:
        raise CannotBeDone(f"the catalogue has no options for a {asked(work).kind}")
    criteria = sorted({key for scores in options.values() for key in scores})
    weights = _weights(work, dict.fromkeys(criteria, 1.0))
    ranking = list(rank(options, weights))
    margin = ranking[0].score - ranking[1].score if len(ranking) > 1 else 1.0
    return result(
        f"{ranking[0].name} with {ranking[0].score:.2f}, {margin:.2f} ahead",
        {
            "choice": ranking[0].name,
            "ranking": [asdict(each) for each in ranking],
            "weights": weights,
            "margin": margin,
        },
    )


async def check_manufacture(work: Work) -> JsonObject:
    """Check wall and proportions against what can be made."""
    wall = _length(work, "wall_thickness_m")
    design = needed(work, "design")
    material = material_of(work, kind(asked(work).kind).material_use)
    is_cast = "bridge_thickness_m" in design
    least = LEAST_WALL_M.get(material.group, 0.004) / (1 if is_cast else 4)
    thick = _length(work, "bridge_thickness_m" if is_cast else "outer_diameter_m")
    most_ratio = 6.0 if is_cast else 60.0
    findings: list[str] = []
    if wall < least:
        findings.append(f"wall {wall * 1000:.2f} mm is below {least * 1000:.2f} mm")
    if thick / wall > most_ratio:
        findings.append(f"ratio to the wall {thick / wall:.1f} is above {most_ratio:g}")
    return result(
        "; ".join(findings) or f"The wall of {wall * 1000:.1f} mm can be made in {material.name}",
        {"is_makeable": not findings, "findings": findings, "thickness_ratio": thick / wall},
    )


async def check_assembly(work: Work) -> JsonObject:
    """Compute the design-for-assembly index: 3 s per essential part over the real time.

    Boothroyd, Dewhurst and Knight, Product Design for Manufacture and Assembly, chapter 3.
    """
    lines = {line.part: line for line in read(work, "bom-draft", tuple[Line, ...], part="lines")}
    parts = [part for part in kind(asked(work).kind).parts if part.name in lines]
    if not parts:
        raise CannotBeDone("the draft of the bill of materials has no parts to assemble")
    seconds = sum(part.assembly_seconds * lines[part.name].quantity for part in parts)
    essential = sum(part.is_essential for part in parts)
    index = SECONDS_PER_ESSENTIAL_PART * essential / seconds
    return result(
        f"{essential} essential parts in {seconds:.0f} s: assembly index {index:.2f}",
        {"essential_parts": essential, "assembly_time_s": seconds, "assembly_index": index},
    )


async def stack_tolerances(work: Work) -> JsonObject:
    """Add up tolerances in the worst case, Σ tᵢ, and statistically, √(Σ tᵢ²).

    Each dimension has the medium tolerance of ISO 2768-1 for its size.
    """
    design = needed(work, "design")
    keys = [key for key in DIMENSIONS if key in design]
    tolerances = {key: _medium_tolerance_m(_length(work, key)) for key in keys}
    worst = sum(tolerances.values())
    likely = sqrt(sum(value**2 for value in tolerances.values()))
    return result(
        f"± {worst * 1000:.2f} mm at worst, ± {likely * 1000:.2f} mm statistically",
        {"tolerances_m": tolerances, "worst_case_m": worst, "statistical_m": likely},
    )


async def review_design(work: Work) -> JsonObject:
    """Collect what the earlier results say against the design."""
    if not work.inputs:
        raise CannotBeDone("there is nothing to review; give at least one result")
    findings = [
        f"{name}: {found.get('summary', 'not enough')}"[:200]
        for name, found in sorted(work.inputs.items())
        if any(found.get(key) is False for key in ("is_strong_enough", "is_makeable", "is_valid"))
    ]
    return result(
        f"{len(work.inputs)} results reviewed, {len(findings)} findings",
        {"reviewed": sorted(work.inputs), "findings": findings, "is_accepted": not findings},
    )


async def release_design(work: Work) -> JsonObject:
    """Release the design, unless a check or the validation speaks against it."""
    against = [
        name
        for name, found in sorted(work.inputs.items())
        if any(found.get(key) is False for key in ("is_makeable", "is_valid", "is_accepted"))
    ]
    missing = missing_of(work)
    design = needed(work, "design")
    decision = f"Held for {', '.join(against)}" if against else "Released"
    if missing:
        decision += f", {', '.join(missing)} not shown"
    return result(
        f"{decision}: {design.get('summary')}",
        {"is_released": not against, "against": against, "revision": "A"},
        {"not_shown": missing} if missing else {},
    )


def _weights(work: Work, usual: dict[str, float]) -> dict[str, float]:
    given = shaped(work.params.get("weights", {}), dict[str, float], where="the weights")
    weights = usual | {key: value for key, value in given.items() if key in usual}
    if min(weights.values()) < 0 or sum(weights.values()) <= 0:
        raise CannotBeDone("the weights have to be positive")
    return weights


def _length(work: Work, key: str) -> float:
    value = needed(work, "design").get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise CannotBeDone(f"the design has no positive {key}: it is {value!r}")
    return float(value)


def _medium_tolerance_m(length_m: float) -> float:
    for limit, tolerance in ((0.006, 0.1), (0.03, 0.2), (0.12, 0.3), (0.4, 0.5), (1.0, 0.8)):
        if length_m <= limit:
            return tolerance / 1000
    return 0.0012
