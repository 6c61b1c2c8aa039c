"""Designing a brake caliper: hydraulics, rotor, housing in several iterations."""

from dataclasses import replace

from agents.agent import CannotBeDone, Work
from agents.catalogue.shelf import materials
from agents.engineering.brake import Housing, Hydraulics, Vehicle, first_housing
from agents.engineering.brake import size_hydraulics as sized
from agents.engineering.stress import HousingStress, housing_stress
from agents.engineering.thermal import CHEEK_SHARE, Rotor
from agents.reading import read, result
from agents.skills.asked import Chosen, facts, material_of
from domain.values import JsonObject

STEP_M = 0.0005
MOST_STEPS = 200
HOUSING = "brake-housing"


async def size_hydraulics(work: Work) -> JsonObject:
    """Choose pistons for the design deceleration."""
    try:
        hydraulics = sized(facts(work, Vehicle))
    except ValueError as error:
        raise CannotBeDone(str(error)) from error
    return result(
        f"{hydraulics.piston_count} pistons of {hydraulics.piston_diameter_m * 1000:g} mm clamp"
        f" with {hydraulics.clamp_force_n / 1000:.2f} kN: {hydraulics.brake_torque_nm:.0f} Nm",
        hydraulics,
    )


async def design_rotor(work: Work) -> JsonObject:
    """Lay out a vented rotor of grey iron."""
    vehicle = facts(work, Vehicle)
    if vehicle.rotor_inner_diameter_m >= vehicle.rotor_outer_diameter_m:
        raise CannotBeDone("the rotor's inner diameter has to be smaller than its outer diameter")
    iron = next(entry for entry in materials() if "brake-rotor" in entry.uses)
    rotor = Rotor(
        outer_diameter_m=vehicle.rotor_outer_diameter_m,
        inner_diameter_m=vehicle.rotor_inner_diameter_m,
        cheek_thickness_m=CHEEK_SHARE * vehicle.rotor_thickness_m,
        density_kg_m3=iron.density_kg_m3,
        conductivity_w_mk=iron.conductivity_w_mk,
        specific_heat_j_kgk=iron.specific_heat_j_kgk,
    )
    return result(
        f"A vented {iron.name} rotor of {rotor.mass_kg:.2f} kg"
        f" takes {rotor.heat_capacity_j_k:.0f} J/K",
        rotor,
        {
            "material": iron.name,
            "friction_ring_mass_kg": rotor.mass_kg,
            "face_area_m2": rotor.face_area_m2,
            "heat_capacity_j_k": rotor.heat_capacity_j_k,
        },
    )


async def draft_housing(work: Work) -> JsonObject:
    """Draft a housing by proportions, in the chosen material or, for now, in the lightest."""
    housing = first_housing(facts(work, Vehicle), read(work, "hydraulics", Hydraulics))
    return _found("First draft", housing, material_of(work, HOUSING), changes=0)


async def refine_housing(work: Work) -> JsonObject:
    """Thicken what is too weak, half a millimetre at a time, until the safety factor is there."""
    vehicle, hydraulics, material = _given(work)
    if "concept" in work.inputs:
        housing = read(work, "concept", Housing)
    else:
        housing = first_housing(vehicle, hydraulics)
    wanted = vehicle.minimum_safety_factor
    for changes in range(MOST_STEPS):
        stress = _stress(housing, vehicle, hydraulics, material)
        if stress.bolt_safety_factor < wanted:
            raise CannotBeDone(
                f"two M12 bolts have a safety factor of {stress.bolt_safety_factor:.2f};"
                f" {wanted:g} is asked: lower the clamp force"
            )
        if stress.cylinder_safety_factor < wanted:
            housing = _with_wall(housing, housing.wall_thickness_m + STEP_M)
        elif stress.bridge_safety_factor < wanted:
            housing = replace(housing, bridge_thickness_m=housing.bridge_thickness_m + STEP_M)
        else:
            return _found("Strong enough", housing, material, changes=changes)
        work.progress(changes / MOST_STEPS)
    raise CannotBeDone(
        f"{material.name} does not reach a safety factor of {wanted:g} with {STEP_M * MOST_STEPS} m"
        " more: choose a stronger material or a lower pressure"
    )


async def lighten_housing(work: Work) -> JsonObject:
    """Take metal away, half a millimetre at a time, as long as the safety factor stays."""
    vehicle, hydraulics, material = _given(work)
    housing = read(work, "refined", Housing)
    changes = 0
    while changes < MOST_STEPS:
        candidates = (
            replace(housing, bridge_thickness_m=housing.bridge_thickness_m - STEP_M),
            _with_wall(housing, housing.wall_thickness_m - STEP_M),
        )
        lighter = next(
            (
                each
                for each in candidates
                if min(each.wall_thickness_m, each.bridge_thickness_m / 2) >= 0.004
                and _stress(each, vehicle, hydraulics, material).least_safety_factor
                >= vehicle.minimum_safety_factor
            ),
            None,
        )
        if lighter is None:
            break
        housing = lighter
        changes += 1
    return _found("As light as it may be", housing, material, changes=changes)


def _given(work: Work) -> tuple[Vehicle, Hydraulics, Chosen]:
    hydraulics = read(work, "hydraulics", Hydraulics)
    return facts(work, Vehicle), hydraulics, material_of(work, HOUSING)


def _with_wall(housing: Housing, wall_m: float) -> Housing:
    width = housing.piston_count * (housing.piston_diameter_m + 2 * wall_m)
    return replace(
        housing,
        wall_thickness_m=wall_m,
        base_thickness_m=1.5 * wall_m,
        bridge_width_m=width,
    )


def _stress(
    housing: Housing, vehicle: Vehicle, hydraulics: Hydraulics, material: Chosen
) -> HousingStress:
    return housing_stress(
        housing,
        hydraulics,
        peak_pressure_pa=vehicle.peak_pressure_pa,
        pad_friction=vehicle.pad_friction,
        yield_pa=material.yield_pa,
        is_thick_walled=True,
    )


def _found(what: str, housing: Housing, material: Chosen, *, changes: int) -> JsonObject:
    mass = housing.volume_m3 * material.density_kg_m3
    return result(
        f"{what}: {mass:.2f} kg of {material.name}, bridge"
        f" {housing.bridge_thickness_m * 1000:.1f} mm, wall {housing.wall_thickness_m * 1000:.1f}"
        f" mm, {changes} changes",
        housing,
        {
            "material": material.name,
            "volume_m3": housing.volume_m3,
            "mass_kg": mass,
            "changes": changes,
        },
    )
