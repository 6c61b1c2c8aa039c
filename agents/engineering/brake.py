"""A floating brake caliper on a front wheel: hydraulics, housing, stop.

Source of the formulas: R. Limpert, Brake Design and Safety, 3rd ed., SAE International 2011,
chapters 2 and 5; all quantities in SI units.
"""

from dataclasses import dataclass
from math import pi, sqrt

STANDARD_PISTON_DIAMETERS_M = (
    *(0.025, 0.028, 0.030, 0.032, 0.034, 0.036, 0.038, 0.0405, 0.0428, 0.045, 0.048),
    *(0.051, 0.054, 0.057, 0.060, 0.063, 0.066, 0.070, 0.075, 0.080, 0.090, 0.100),
)
"""Bores for which seals are on the market."""

HYDRAULIC_EFFICIENCY = 0.98
"""What seal friction leaves of the piston force (Limpert: 0.96 to 0.98)."""

BRIDGE_GAP_M = 0.004
"""Clearance between rotor, pads and the bridge above them, both sides together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vehicle:
    """The facts about a vehicle and its front brakes that a caliper follows from."""

    vehicle_mass_kg: float
    speed_m_s: float
    wheel_radius_m: float
    front_brake_share: float
    design_deceleration_m_s2: float
    tyre_friction: float
    line_pressure_pa: float
    peak_pressure_pa: float
    piston_count: int
    pad_friction: float
    effective_radius_m: float
    rotor_outer_diameter_m: float
    rotor_inner_diameter_m: float
    rotor_thickness_m: float
    pad_thickness_m: float
    build_up_time_s: float
    ambient_temperature_c: float
    repeated_stops: int
    brake_applications: float
    minimum_safety_factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hydraulics:
    """The pistons of one caliper, and what they press with."""

    piston_count: int
    piston_diameter_m: float
    piston_area_m2: float
    """Of all pistons of one side."""

    needed_clamp_force_n: float
    clamp_force_n: float
    brake_torque_nm: float
    peak_clamp_force_n: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Housing:
    """The housing as a row of cylinders, a bridge over the rotor, and a finger plate."""

    piston_count: int
    piston_diameter_m: float
    wall_thickness_m: float
    cylinder_length_m: float
    base_thickness_m: float
    bridge_width_m: float
    bridge_thickness_m: float
    bridge_length_m: float
    finger_thickness_m: float

    @property
    def volume_m3(self) -> float:
        """The volume of the metal."""
        outer = self.piston_diameter_m + 2 * self.wall_thickness_m
        ring = pi / 4 * (outer**2 - self.piston_diameter_m**2)
        cylinders = self.piston_count * ring * self.cylinder_length_m
        bases = self.piston_count * pi / 4 * outer**2 * self.base_thickness_m
        bridge = self.bridge_width_m * self.bridge_thickness_m * self.bridge_length_m
        finger = self.bridge_width_m * outer * self.finger_thickness_m
        return cylinders + bases + bridge + finger

    @property
    def lever_arm_m(self) -> float:
        """From the line of the piston force to the middle of the bridge."""
        return self.piston_diameter_m / 2 + self.wall_thickness_m + self.bridge_thickness_m / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One stop from speed to rest."""

    deceleration_m_s2: float
    stopping_time_s: float
    stopping_distance_m: float
    kinetic_energy_j: float
    is_tyre_limited: bool


def size_hydraulics(vehicle: Vehicle) -> Hydraulics:
    """Choose the smallest standard pistons that give the design deceleration.

    T = m a φ r / 2 for each front brake; F = T / (2 μ r_eff), for a disc has two faces;
    A = F / (p η). ``ValueError`` if no bore is large enough.
    """
    needed_torque = (
        vehicle.vehicle_mass_kg
        * vehicle.design_deceleration_m_s2
        * vehicle.front_brake_share
        * vehicle.wheel_radius_m
        / 2
    )
    needed_force = needed_torque / (2 * vehicle.pad_friction * vehicle.effective_radius_m)
    needed_area = needed_force / (vehicle.line_pressure_pa * HYDRAULIC_EFFICIENCY)
    least = sqrt(4 * needed_area / (pi * vehicle.piston_count))
    diameter = next((bore for bore in STANDARD_PISTON_DIAMETERS_M if bore >= least), None)
    if diameter is None:
        raise ValueError(
            f"{vehicle.piston_count} pistons would need a bore of {least * 1000:.1f} mm;"
            f" the largest is {STANDARD_PISTON_DIAMETERS_M[-1] * 1000:.0f} mm:"
            " raise the pressure or the number of pistons"
        )
    area = vehicle.piston_count * pi / 4 * diameter**2
    force = vehicle.line_pressure_pa * area * HYDRAULIC_EFFICIENCY
    return Hydraulics(
        piston_count=vehicle.piston_count,
        piston_diameter_m=diameter,
        piston_area_m2=area,
        needed_clamp_force_n=needed_force,
        clamp_force_n=force,
        brake_torque_nm=2 * vehicle.pad_friction * force * vehicle.effective_radius_m,
        peak_clamp_force_n=vehicle.peak_pressure_pa * area * HYDRAULIC_EFFICIENCY,
    )


def first_housing(vehicle: Vehicle, hydraulics: Hydraulics) -> Housing:
    """Draft a housing by proportions: walls of an eighth of the bore, bridge of a half of it."""
    bore = hydraulics.piston_diameter_m
    wall = max(0.004, bore / 8)
    return Housing(
        piston_count=hydraulics.piston_count,
        piston_diameter_m=bore,
        wall_thickness_m=wall,
        cylinder_length_m=0.9 * bore,
        base_thickness_m=1.5 * wall,
        bridge_width_m=hydraulics.piston_count * (bore + 2 * wall),
        bridge_thickness_m=max(0.012, bore / 2),
        bridge_length_m=vehicle.rotor_thickness_m + 2 * vehicle.pad_thickness_m + BRIDGE_GAP_M,
        finger_thickness_m=max(0.012, bore / 2),
    )


def stop(vehicle: Vehicle, hydraulics: Hydraulics) -> Stop:
    """Return the stop that the brakes give: pressure rises linearly, then stays.

    The front axle has 2 T / r = φ of the whole braking force; the tyres bear at most μ m g.
    With deceleration a after the build-up time t_b: v₁ = v - a t_b / 2,
    s = v t_b - a t_b² / 6 + v₁² / (2 a), t = t_b + v₁ / a. ``ValueError`` if the vehicle would
    stand before the pressure is there.
    """
    force = 2 * hydraulics.brake_torque_nm / vehicle.wheel_radius_m / vehicle.front_brake_share
    possible = force / vehicle.vehicle_mass_kg
    limit = vehicle.tyre_friction * 9.80665
    deceleration = min(possible, limit)
    rise = vehicle.build_up_time_s
    after_rise = vehicle.speed_m_s - deceleration * rise / 2
    if after_rise <= 0:
        raise ValueError("the vehicle stands before the pressure has built up: check the speed")
    return Stop(
        deceleration_m_s2=deceleration,
        stopping_time_s=rise + after_rise / deceleration,
        stopping_distance_m=vehicle.speed_m_s * rise
        - deceleration * rise**2 / 6
        + after_rise**2 / (2 * deceleration),
        kinetic_energy_j=vehicle.vehicle_mass_kg * vehicle.speed_m_s**2 / 2,
        is_tyre_limited=possible > limit,
    )
