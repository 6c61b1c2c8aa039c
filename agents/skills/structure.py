"""Designing and simulating a cantilever tube: an arm, a boom, a bracket."""

from dataclasses import replace

from agents.agent import CannotBeDone, Work
from agents.engineering.beam import (
    Loads,
    Tube,
    deflection,
    integrated_deflection,
    natural_frequency,
    root_stress,
)
from agents.engineering.convergence import study
from agents.reading import read, result
from agents.skills.asked import Chosen, draft_of, facts, material_of
from domain.values import JsonObject

USE = "structure"
CELLS = (8, 16, 32)
GROWTH = 1.05
MOST_STEPS = 200
LEAST_SLENDERNESS = 3
"""Length over diameter below which the formulas of bending do not hold."""


async def draft_tube(work: Work) -> JsonObject:
    """Draft the tube as the facts describe it."""
    loads = facts(work, Loads)
    return _found("First draft", _drafted(loads), material_of(work, USE), changes=0)


async def refine_tube(work: Work) -> JsonObject:
    """Widen the tube, five per cent at a time, until it is strong and stiff enough."""
    loads, material = facts(work, Loads), material_of(work, USE)
    tube = _hollow(read(work, "concept", Tube)) if "concept" in work.inputs else _drafted(loads)
    for changes in range(MOST_STEPS):
        if _is_enough(tube, loads, material):
            return _found("Strong and stiff enough", tube, material, changes=changes)
        tube = replace(tube, outer_diameter_m=tube.outer_diameter_m * GROWTH)
        if tube.outer_diameter_m > tube.length_m / LEAST_SLENDERNESS:
            break
        work.progress(changes / MOST_STEPS)
    raise CannotBeDone(
        f"no slender tube of {material.name} with a wall of {tube.wall_thickness_m * 1000:g} mm"
        " bears this load: thicken the wall or check the facts"
    )


async def lighten_tube(work: Work) -> JsonObject:
    """Thin the wall, two per cent at a time, as long as the tube is strong and stiff enough."""
    loads, material = facts(work, Loads), material_of(work, USE)
    tube, changes = _hollow(read(work, "refined", Tube)), 0
    while changes < MOST_STEPS:
        lighter = replace(tube, wall_thickness_m=tube.wall_thickness_m * 0.98)
        is_slender = lighter.outer_diameter_m / lighter.wall_thickness_m > 50
        if is_slender or not _is_enough(lighter, loads, material):
            break
        tube, changes = lighter, changes + 1
    return _found("As light as it may be", tube, material, changes=changes)


async def screen_beam(work: Work) -> JsonObject:
    """Estimate deflection and safety of the draft by formula."""
    return _bent(work, _hollow(read(work, draft_of(work), Tube)), cells=None)


async def analyse_beam(work: Work) -> JsonObject:
    """Compute deflection and safety of the final design by integrating its curvature."""
    loads, material = facts(work, Loads), material_of(work, USE)
    tube = _hollow(read(work, "design", Tube))
    formula = deflection(
        tube, load_n=loads.tip_load_n, youngs_modulus_pa=material.youngs_modulus_pa
    )
    bent = _bent(work, tube, cells=CELLS[-1])
    return bent | {"formula_deflection_m": float(f"{formula:.6g}")}


async def analyse_vibration(work: Work) -> JsonObject:
    """Compute the first bending frequency."""
    loads, material = facts(work, Loads), material_of(work, USE)
    frequency = natural_frequency(
        _hollow(read(work, "design", Tube)),
        tip_mass_kg=loads.tip_mass_kg,
        density_kg_m3=material.density_kg_m3,
        youngs_modulus_pa=material.youngs_modulus_pa,
    )
    return result(
        f"The first bending mode is at {frequency:.1f} Hz", {"natural_frequency_hz": frequency}
    )


async def study_beam_convergence(work: Work) -> JsonObject:
    """Repeat the integration on three grids and say how far the answer depends on them."""
    loads, material = facts(work, Loads), material_of(work, USE)
    tube = _hollow(read(work, "design", Tube))
    values = [
        integrated_deflection(
            tube,
            load_n=loads.tip_load_n,
            youngs_modulus_pa=material.youngs_modulus_pa,
            cells=cells,
        )
        for cells in CELLS
    ]
    convergence = study(*values)
    return result(
        f"From {CELLS[0]} to {CELLS[-1]} cells the deflection settles at"
        f" {convergence.extrapolated * 1000:.3f} mm, of order {convergence.observed_order:.2f}",
        {"grids": CELLS, "values": values, "unit": "m"},
        convergence,
    )


def _drafted(loads: Loads) -> Tube:
    return _hollow(
        Tube(
            length_m=loads.arm_length_m,
            outer_diameter_m=loads.outer_diameter_m,
            wall_thickness_m=loads.wall_thickness_m,
        )
    )


def _hollow(tube: Tube) -> Tube:
    if not (tube.length_m > 0 and 0 < 2 * tube.wall_thickness_m < tube.outer_diameter_m):
        raise CannotBeDone("the tube's walls are thicker than the tube: check the facts")
    return tube


def _is_enough(tube: Tube, loads: Loads, material: Chosen) -> bool:
    bent = deflection(tube, load_n=loads.tip_load_n, youngs_modulus_pa=material.youngs_modulus_pa)
    safety = material.yield_pa / root_stress(tube, load_n=loads.tip_load_n)
    return bent <= loads.maximum_deflection_m and safety >= loads.minimum_safety_factor


def _bent(work: Work, tube: Tube, *, cells: int | None) -> JsonObject:
    loads, material = facts(work, Loads), material_of(work, USE)
    if cells is None:
        bent = deflection(
            tube, load_n=loads.tip_load_n, youngs_modulus_pa=material.youngs_modulus_pa
        )
    else:
        bent = integrated_deflection(
            tube,
            load_n=loads.tip_load_n,
            youngs_modulus_pa=material.youngs_modulus_pa,
            cells=cells,
        )
    stress = root_stress(tube, load_n=loads.tip_load_n)
    least = material.yield_pa / stress
    return result(
        f"The tip bends by {bent * 1000:.2f} mm; {stress / 1e6:.1f} MPa at the clamp:"
        f" safety factor {least:.2f}",
        {
            "deflection_m": bent,
            "largest_stress_pa": stress,
            "least_safety_factor": least,
            "is_strong_enough": _is_enough(tube, loads, material),
        },
    )


def _found(what: str, tube: Tube, material: Chosen, *, changes: int) -> JsonObject:
    mass = tube.volume_m3 * material.density_kg_m3
    return result(
        f"{what}: a tube of {tube.outer_diameter_m * 1000:.1f} mm,"
        f" {mass * 1000:.0f} g of {material.name}, {changes} changes",
        tube,
        {
            "material": material.name,
            "volume_m3": tube.volume_m3,
            "mass_kg": mass,
            "changes": changes,
        },
    )
