"""Designing and simulating an insulated cup."""

from dataclasses import dataclass, replace
from math import pi

from agents.agent import CannotBeDone, Work
from agents.catalogue.shelf import materials
from agents.engineering.convergence import study
from agents.engineering.insulation import Cooled, Cup, Drink, cooled, simulated
from agents.reading import read, result
from agents.skills.asked import Chosen, draft_of, facts, material_of
from domain.values import JsonObject

USE = "vessel"
SLENDERNESS = 2.0
"""Length over diameter of what a cup holds."""

GROWTH_M = 0.0005
MOST_INSULATION_M = 0.06
MARGIN_K = 1.0
"""What the formula leaves to the simulation, which knows that foam takes up heat."""

LAYERS = (4, 8, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(Drink):
    """What a cup has to hold, and how well."""

    volume_m3: float
    wall_thickness_m: float
    insulation_m: float
    minimum_temperature_c: float
    maximum_outside_c: float


async def draft_cup(work: Work) -> JsonObject:
    """Draft the cup around what it has to hold, with the insulation of the facts."""
    wanted = facts(work, Wanted)
    return _found("First draft", _drawn(wanted, wanted.insulation_m), material_of(work, USE), 0)


async def refine_cup(work: Work) -> JsonObject:
    """Thicken the insulation, half a millimetre at a time, until the drink stays hot."""
    wanted, material = facts(work, Wanted), material_of(work, USE)
    begun = read(work, "concept", Cup).insulation_m if "concept" in work.inputs else None
    insulation, changes = begun or wanted.insulation_m, 0
    while insulation <= MOST_INSULATION_M:
        cup = _drawn(wanted, insulation)
        if _is_enough(cup, wanted, material):
            return _found("Insulated enough", cup, material, changes)
        insulation, changes = insulation + GROWTH_M, changes + 1
        work.progress(insulation / MOST_INSULATION_M)
    raise CannotBeDone(
        f"no {MOST_INSULATION_M * 1000:g} mm of insulation keep this hot for"
        f" {wanted.hold_hours:g} hours: check the facts, or insulate better"
    )


async def lighten_cup(work: Work) -> JsonObject:
    """Thin the insulation, two per cent at a time, as long as the drink stays hot."""
    wanted, material = facts(work, Wanted), material_of(work, USE)
    cup, changes = read(work, "refined", Cup), 0
    while changes < 100:
        smaller = _drawn(wanted, cup.insulation_m * 0.98)
        if smaller.insulation_m < 0.001 or not _is_enough(smaller, wanted, material):
            break
        cup, changes = smaller, changes + 1
    return _found("As small as it may be", cup, material, changes)


async def screen_cooling(work: Work) -> JsonObject:
    """Estimate how hot the draft keeps its drink, in one lump."""
    wanted, cup = facts(work, Wanted), read(work, draft_of(work), Cup)
    found = cooled(cup, wanted, wall_w_mk=_conductivity(material_of(work, USE)))
    return _told(found, wanted, {"is_strong_enough": _keeps(found, wanted)})


async def simulate_cooling(work: Work) -> JsonObject:
    """Compute how hot the final design keeps its drink, its insulation in layers."""
    wanted, cup = facts(work, Wanted), read(work, "design", Cup)
    conductivity = _conductivity(material_of(work, USE))
    found = simulated(cup, wanted, wall_w_mk=conductivity, layers=LAYERS[-1])
    formula = cooled(cup, wanted, wall_w_mk=conductivity)
    return _told(
        found, wanted, {"formula_temperature_c": formula.final_temperature_c, "layers": LAYERS[-1]}
    )


async def study_cooling_convergence(work: Work) -> JsonObject:
    """Repeat the simulation on three grids and say how far the answer depends on them."""
    wanted, cup = facts(work, Wanted), read(work, "design", Cup)
    conductivity = _conductivity(material_of(work, USE))
    values = [
        simulated(cup, wanted, wall_w_mk=conductivity, layers=layers).final_temperature_c
        for layers in LAYERS
    ]
    convergence = study(*values)
    return result(
        f"From {LAYERS[0]} to {LAYERS[-1]} layers the drink settles at"
        f" {convergence.extrapolated:.2f} °C",
        {"grids": LAYERS, "values": values, "unit": "°C"},
        convergence,
    )


def _drawn(wanted: Wanted, insulation_m: float) -> Cup:
    """Return a cup around its drink, as slender as cups are."""
    inner = (4 * wanted.volume_m3 / (pi * SLENDERNESS)) ** (1 / 3)
    around = 4 * wanted.wall_thickness_m + 2 * insulation_m
    return Cup(
        length_m=SLENDERNESS * inner + around,
        outer_diameter_m=inner + around,
        wall_thickness_m=wanted.wall_thickness_m,
        insulation_m=insulation_m,
    )


def _is_enough(cup: Cup, wanted: Wanted, material: Chosen) -> bool:
    found = cooled(cup, wanted, wall_w_mk=_conductivity(material))
    return _keeps(replace(found, final_temperature_c=found.final_temperature_c - MARGIN_K), wanted)


def _keeps(found: Cooled, wanted: Wanted) -> bool:
    is_hot = found.final_temperature_c >= wanted.minimum_temperature_c
    return is_hot and found.hottest_outside_c <= wanted.maximum_outside_c


def _conductivity(material: Chosen) -> float:
    found = {entry.name: entry.conductivity_w_mk for entry in materials()}
    if material.name not in found:
        raise CannotBeDone(f"the catalogue knows no material {material.name}")
    return found[material.name]


def _told(found: Cooled, wanted: Wanted, more: JsonObject) -> JsonObject:
    return result(
        f"After {wanted.hold_hours:g} hours {found.final_temperature_c:.1f} °C inside,"
        f" at most {found.hottest_outside_c:.1f} °C outside",
        found,
        more,
    )


def _found(what: str, cup: Cup, material: Chosen, changes: int) -> JsonObject:
    mass = cup.shell_m3 * material.density_kg_m3
    return result(
        f"{what}: {cup.insulation_m * 1000:.1f} mm of insulation between walls of"
        f" {material.name}, {mass * 1000:.0f} g, {changes} changes",
        cup,
        {"material": material.name, "mass_kg": mass, "changes": changes},
    )
