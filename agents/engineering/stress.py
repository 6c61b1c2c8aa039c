"""Stresses and safety factors of simple shapes; all quantities in SI units.

Source of the formulas: Budynas and Nisbett, Shigley's Mechanical Engineering Design, 10th ed.,
chapters 3 (stress), 6 (fatigue) and 8 (screws).
"""

from dataclasses import dataclass
from math import log10, pi

from agents.engineering.brake import Housing, Hydraulics

M12_STRESS_AREA_M2 = 84.3e-6
BOLT_YIELD_PA = 940e6
"""Property class 10.9 (ISO 898-1)."""

SHEAR_SHARE_OF_YIELD = 0.577
"""Distortion energy theory: 1 / √3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HousingStress:
    """Stresses in a caliper housing at peak pressure, and yield strength over stress."""

    cylinder_stress_pa: float
    bridge_stress_pa: float
    bolt_stress_pa: float
    cylinder_safety_factor: float
    bridge_safety_factor: float
    bolt_safety_factor: float

    @property
    def least_safety_factor(self) -> float:
        """The safety factor of the weakest place."""
        return min(self.cylinder_safety_factor, self.bridge_safety_factor, self.bolt_safety_factor)


def thin_wall_stress(pressure_pa: float, radius_m: float, wall_m: float) -> float:
    """Return the hoop stress of a thin cylinder, p r / t."""
    return pressure_pa * radius_m / wall_m


def thick_wall_stress(pressure_pa: float, radius_m: float, wall_m: float) -> float:
    """Return the hoop stress at the bore of a thick cylinder (Lamé)."""
    outer = radius_m + wall_m
    return pressure_pa * (outer**2 + radius_m**2) / (outer**2 - radius_m**2)


def bridge_stress(force_n: float, housing: Housing) -> float:
    """Return tension plus bending in the bridge: F / (w t) + 6 F e / (w t²)."""
    width, thickness = housing.bridge_width_m, housing.bridge_thickness_m
    tension = force_n / (width * thickness)
    bending = 6 * force_n * housing.lever_arm_m / (width * thickness**2)
    return tension + bending


def housing_stress(
    housing: Housing,
    hydraulics: Hydraulics,
    *,
    peak_pressure_pa: float,
    pad_friction: float,
    yield_pa: float,
    is_thick_walled: bool,
) -> HousingStress:
    """Return the stresses at peak pressure; two M12 bolts bear the friction force in shear."""
    cylinder = (thick_wall_stress if is_thick_walled else thin_wall_stress)(
        peak_pressure_pa, housing.piston_diameter_m / 2, housing.wall_thickness_m
    )
    bridge = bridge_stress(hydraulics.peak_clamp_force_n, housing)
    bolt = 2 * pad_friction * hydraulics.peak_clamp_force_n / (2 * M12_STRESS_AREA_M2)
    return HousingStress(
        cylinder_stress_pa=cylinder,
        bridge_stress_pa=bridge,
        bolt_stress_pa=bolt,
        cylinder_safety_factor=yield_pa / cylinder,
        bridge_safety_factor=yield_pa / bridge,
        bolt_safety_factor=SHEAR_SHARE_OF_YIELD * BOLT_YIELD_PA / bolt,
    )


def life_cycles(amplitude_pa: float, *, ultimate_pa: float, fatigue_pa: float) -> float:
    """Return how many cycles a stress amplitude is borne, at most ten million.

    A straight line in log S over log N from 0.9 of the ultimate strength at 10³ cycles to the
    fatigue strength at 10⁷; above the line's beginning, 10³ at most.
    """
    if amplitude_pa <= fatigue_pa:
        return 1e7
    start = 0.9 * ultimate_pa
    if amplitude_pa >= start:
        return 1e3 * start / amplitude_pa if amplitude_pa < ultimate_pa else 1.0
    share = (log10(start) - log10(amplitude_pa)) / (log10(start) - log10(fatigue_pa))
    return 10 ** (3 + 4 * share)


def alternating(stress_pa: float, *, ultimate_pa: float) -> float:
    """Return the fully reversed amplitude of the same harm as pulsing from zero to a stress.

    Goodman: amplitude and mean are a half of it each; S = σₐ / (1 - σₘ / Sᵤ).
    """
    half = stress_pa / 2
    if half >= ultimate_pa:
        return ultimate_pa
    return min(half / (1 - half / ultimate_pa), ultimate_pa)


def ring_area(outer_m: float, inner_m: float) -> float:
    """Return the area between two circles by their diameters."""
    return pi / 4 * (outer_m**2 - inner_m**2)
