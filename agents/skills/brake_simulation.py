"""Simulating a brake: stresses, stops, rotor temperatures, from cheap models to fine ones."""

from agents.agent import CannotBeDone, Work
from agents.engineering.brake import Housing, Hydraulics, Stop, Vehicle, stop
from agents.engineering.convergence import study
from agents.engineering.stress import housing_stress
from agents.engineering.thermal import (
    Rotor,
    hot_friction,
    layered_rise,
    lumped_rise,
    repeated_rises,
    rotor_energy,
)
from agents.reading import number, read, result
from agents.skills.asked import draft_of, facts, material_of
from domain.values import JsonObject

LAYERS = 32
GRIDS = (2, 4, 8)
"""Coarse on purpose: finer ones agree to a tenth of a kelvin, and have no order to observe."""

SECONDS_BETWEEN_STOPS = 45.0
"""As in the fade test of UN R13-H, annex 3, 1.5 for passenger cars."""


async def screen_stress(work: Work) -> JsonObject:
    """Estimate the stresses of the draft, with thin walls."""
    return _stresses(work, read(work, draft_of(work), Housing), is_thick_walled=False)


async def analyse_stress(work: Work) -> JsonObject:
    """Compute the stresses of the final design, with thick walls."""
    return _stresses(work, read(work, "design", Housing), is_thick_walled=True)


async def simulate_braking(work: Work) -> JsonObject:
    """Let the vehicle stop, with pressure that has to build up."""
    try:
        stopped = stop(facts(work, Vehicle), read(work, "hydraulics", Hydraulics))
    except ValueError as error:
        raise CannotBeDone(str(error)) from error
    limit = ", limited by the tyres" if stopped.is_tyre_limited else ""
    return result(
        f"It stops with {stopped.deceleration_m_s2:.2f} m/s²{limit}"
        f" in {stopped.stopping_distance_m:.1f} m",
        stopped,
    )


async def screen_thermal(work: Work) -> JsonObject:
    """Estimate the rotor's rise in one stop, in one lump."""
    vehicle, rotor = facts(work, Vehicle), read(work, "rotor", Rotor)
    kinetic = vehicle.vehicle_mass_kg * vehicle.speed_m_s**2 / 2
    energy = rotor_energy(kinetic, front_share=vehicle.front_brake_share)
    rise = lumped_rise(energy, rotor)
    return result(
        f"One stop puts {energy / 1000:.0f} kJ into a rotor: {rise:.0f} K on average",
        {"rotor_energy_j": energy, "temperature_rise_k": rise},
    )


async def simulate_rotor(work: Work) -> JsonObject:
    """Compute the rotor's surface and mean rise in one stop, layer by layer."""
    vehicle, rotor, stopped = _stopping(work)
    energy = rotor_energy(stopped.kinetic_energy_j, front_share=vehicle.front_brake_share)
    heating = layered_rise(
        energy,
        rotor,
        duration_s=stopped.stopping_time_s,
        layers=LAYERS,
        progress=work.progress,
    )
    return result(
        f"The surface rises by {heating.peak_surface_rise_k:.0f} K,"
        f" the whole by {heating.final_mean_rise_k:.0f} K",
        heating,
    )


async def study_rotor_convergence(work: Work) -> JsonObject:
    """Repeat the rotor's simulation on three grids and say how far the answer depends on them."""
    vehicle, rotor, stopped = _stopping(work)
    energy = rotor_energy(stopped.kinetic_energy_j, front_share=vehicle.front_brake_share)
    rises: list[float] = []
    for layers in GRIDS:
        heating = layered_rise(energy, rotor, duration_s=stopped.stopping_time_s, layers=layers)
        rises.append(heating.peak_surface_rise_k)
        work.progress(len(rises) / len(GRIDS))
    convergence = study(*rises)
    return result(
        f"From {GRIDS[0]} to {GRIDS[-1]} layers the surface's rise settles at"
        f" {convergence.extrapolated:.1f} K, ± {convergence.relative_uncertainty:.2%}",
        {"grids": GRIDS, "values": rises, "unit": "K"},
        convergence,
    )


async def simulate_fade(work: Work) -> JsonObject:
    """Stop again and again, and see how hot the rotor gets and what friction is left."""
    vehicle, rotor = facts(work, Vehicle), read(work, "rotor", Rotor)
    rise = number(work.inputs.get("thermal-screening", {}), "temperature_rise_k", low=0, high=5000)
    rises = repeated_rises(
        rise, rotor, stops=vehicle.repeated_stops, interval_s=SECONDS_BETWEEN_STOPS
    )
    peak = vehicle.ambient_temperature_c + max(rises)
    friction = hot_friction(vehicle.pad_friction, peak)
    return result(
        f"After {vehicle.repeated_stops} stops the rotor is at {peak:.0f} °C,"
        f" friction is {friction:.2f} of {vehicle.pad_friction:.2f}",
        {
            "stops": vehicle.repeated_stops,
            "temperature_rises_k": rises,
            "peak_temperature_c": peak,
            "hot_friction": friction,
            "friction_left": friction / vehicle.pad_friction,
        },
    )


def _stopping(work: Work) -> tuple[Vehicle, Rotor, Stop]:
    return facts(work, Vehicle), read(work, "rotor", Rotor), read(work, "braking", Stop)


def _stresses(work: Work, housing: Housing, *, is_thick_walled: bool) -> JsonObject:
    vehicle, material = facts(work, Vehicle), material_of(work, "brake-housing")
    stress = housing_stress(
        housing,
        read(work, "hydraulics", Hydraulics),
        peak_pressure_pa=vehicle.peak_pressure_pa,
        pad_friction=vehicle.pad_friction,
        yield_pa=material.yield_pa,
        is_thick_walled=is_thick_walled,
    )
    least = stress.least_safety_factor
    return result(
        f"In {material.name} the bridge bears {stress.bridge_stress_pa / 1e6:.0f} MPa,"
        f" the cylinder {stress.cylinder_stress_pa / 1e6:.0f} MPa: safety factor {least:.2f}",
        stress,
        {
            "least_safety_factor": least,
            "largest_stress_pa": max(stress.bridge_stress_pa, stress.cylinder_stress_pa),
            "is_strong_enough": least >= vehicle.minimum_safety_factor,
        },
    )
