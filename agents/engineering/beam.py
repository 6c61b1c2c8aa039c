"""A tube clamped at one end: deflection, stress, first natural frequency; SI units.

Sources: Shigley's Mechanical Engineering Design, 10th ed., table A-9; R. D. Blevins, Formulas for
Natural Frequency and Mode Shape, chapter 8 (33/140 of the beam's mass moves with its tip).
"""

from dataclasses import dataclass
from math import pi, sqrt

from agents.engineering.stress import ring_area


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """The facts about what a cantilever has to bear."""

    tip_load_n: float
    tip_mass_kg: float
    arm_length_m: float
    outer_diameter_m: float
    wall_thickness_m: float
    load_cycles: float
    minimum_safety_factor: float
    maximum_deflection_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tube:
    """A round tube."""

    length_m: float
    outer_diameter_m: float
    wall_thickness_m: float

    @property
    def inner_diameter_m(self) -> float:
        """The inner diameter."""
        return self.outer_diameter_m - 2 * self.wall_thickness_m

    @property
    def volume_m3(self) -> float:
        """The volume of the material."""
        return ring_area(self.outer_diameter_m, self.inner_diameter_m) * self.length_m

    @property
    def second_moment_m4(self) -> float:
        """The second moment of area, π (D⁴ - d⁴) / 64."""
        return pi / 64 * (self.outer_diameter_m**4 - self.inner_diameter_m**4)


def deflection(tube: Tube, *, load_n: float, youngs_modulus_pa: float) -> float:
    """Return how far the tip bends, F L³ / (3 E I)."""
    return load_n * tube.length_m**3 / (3 * youngs_modulus_pa * tube.second_moment_m4)


def root_stress(tube: Tube, *, load_n: float) -> float:
    """Return the bending stress at the clamp, F L (D / 2) / I."""
    return load_n * tube.length_m * tube.outer_diameter_m / 2 / tube.second_moment_m4


def integrated_deflection(
    tube: Tube, *, load_n: float, youngs_modulus_pa: float, cells: int
) -> float:
    """Return the tip's deflection by integrating curvature twice, with the trapezoidal rule.

    κ(x) = F (L - x) / (E I); slope = ∫ κ dx, deflection = ∫ slope dx, from the clamp outwards.
    """
    step = tube.length_m / cells
    stiffness = youngs_modulus_pa * tube.second_moment_m4
    slope = bent = 0.0
    for cell in range(cells):
        left = load_n * (tube.length_m - cell * step) / stiffness
        right = load_n * (tube.length_m - (cell + 1) * step) / stiffness
        following = slope + (left + right) / 2 * step
        bent += (slope + following) / 2 * step
        slope = following
    return bent


def natural_frequency(
    tube: Tube, *, tip_mass_kg: float, density_kg_m3: float, youngs_modulus_pa: float
) -> float:
    """Return the first bending frequency in hertz, √(3 E I / (L³ (M + 33/140 m))) / 2 π."""
    moving = tip_mass_kg + 33 / 140 * tube.volume_m3 * density_kg_m3
    stiffness = 3 * youngs_modulus_pa * tube.second_moment_m4 / tube.length_m**3
    return sqrt(stiffness / moving) / (2 * pi)
