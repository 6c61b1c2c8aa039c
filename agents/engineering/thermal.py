"""How hot a rotor gets: all heat in one lump, or in layers by finite differences; SI units.

Sources: Limpert, Brake Design and Safety, 3rd ed., chapter 3 (energy, repeated stops);
Incropera et al., Fundamentals of Heat and Mass Transfer, 6th ed., sections 5.1 (lumped) and
5.10 (explicit finite differences).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp

from agents.engineering.stress import ring_area

ROTOR_HEAT_SHARE = 0.95
"""What of the friction heat goes into the rotor and not the pads (Limpert, chapter 3)."""

CHEEK_SHARE = 0.3
"""A vented rotor has two cheeks, each of three tenths of its thickness."""

COOLING_W_M2K = 60.0
"""Convection and radiation of a turning rotor at moderate speed (Limpert, chapter 3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotor:
    """A vented rotor's friction ring: two cheeks, each heated on its outer face."""

    outer_diameter_m: float
    inner_diameter_m: float
    cheek_thickness_m: float
    density_kg_m3: float
    conductivity_w_mk: float
    specific_heat_j_kgk: float

    @property
    def face_area_m2(self) -> float:
        """The friction area of one face."""
        return ring_area(self.outer_diameter_m, self.inner_diameter_m)

    @property
    def mass_kg(self) -> float:
        """The mass of both cheeks."""
        return 2 * self.face_area_m2 * self.cheek_thickness_m * self.density_kg_m3

    @property
    def heat_capacity_j_k(self) -> float:
        """The heat that warms both cheeks by one kelvin."""
        return self.mass_kg * self.specific_heat_j_kgk


@dataclass(frozen=True, slots=True, kw_only=True)
class Heating:
    """What one stop does to a rotor that is divided into layers."""

    layers: int
    steps: int
    peak_surface_rise_k: float
    final_mean_rise_k: float


def rotor_energy(kinetic_energy_j: float, *, front_share: float) -> float:
    """Return the heat that one front rotor takes up in a stop: a half of the front axle's."""
    return kinetic_energy_j * front_share / 2 * ROTOR_HEAT_SHARE


def lumped_rise(energy_j: float, rotor: Rotor) -> float:
    """Return the temperature rise with all heat spread evenly, ΔT = E / (m c)."""
    return energy_j / rotor.heat_capacity_j_k


def layered_rise(
    energy_j: float,
    rotor: Rotor,
    *,
    duration_s: float,
    layers: int,
    progress: Callable[[float], None] = lambda _: None,
) -> Heating:
    """Return the rises in one cheek, heated by q(t) = q₀ (1 - t / t_s), insulated inside.

    Constant deceleration makes power fall linearly, so q₀ = 2 (E / 2) / (t_s A). Layers are
    finite volumes; explicit steps are stable with a Fourier number up to a half (Incropera 5.10.1).
    """
    width = rotor.cheek_thickness_m / layers
    storage = rotor.density_kg_m3 * rotor.specific_heat_j_kgk * width
    diffusivity = rotor.conductivity_w_mk / (rotor.density_kg_m3 * rotor.specific_heat_j_kgk)
    steps = max(50, int(duration_s * diffusivity / (0.4 * width**2)) + 1)
    step = duration_s / steps
    fourier = diffusivity * step / width**2
    flux = energy_j / (duration_s * rotor.face_area_m2)
    rises = [0.0] * layers
    peak = 0.0
    for count in range(steps):
        # The flux at the middle of the step makes the heat of all steps exactly E.
        power = flux * (1 - (count + 0.5) / steps)
        following = rises[:]
        for layer in range(layers):
            here = rises[layer]
            outward = rises[layer - 1] if layer else here
            inward = rises[layer + 1] if layer + 1 < layers else here
            following[layer] = here + fourier * (outward - 2 * here + inward)
        following[0] += power * step / storage
        rises = following
        # Half a layer lies between the middle of the first one and the surface.
        peak = max(peak, rises[0] + power * width / 2 / rotor.conductivity_w_mk)
        if count % 200 == 0:
            progress(count / steps)
    return Heating(
        layers=layers,
        steps=steps,
        peak_surface_rise_k=peak,
        final_mean_rise_k=sum(rises) / layers,
    )


def repeated_rises(
    rise_k: float, rotor: Rotor, *, stops: int, interval_s: float
) -> tuple[float, ...]:
    """Return the rise above ambient right after each of several stops.

    Between stops it cools by exp(-h A t / (m c)) (lumped); A is both faces.
    """
    decay = exp(-COOLING_W_M2K * 2 * rotor.face_area_m2 * interval_s / rotor.heat_capacity_j_k)
    rises: list[float] = []
    for _ in range(stops):
        rises.append((rises[-1] * decay if rises else 0.0) + rise_k)
    return tuple(rises)


def hot_friction(cold_friction: float, temperature_c: float) -> float:
    """Return pad friction at a temperature: full up to 350 °C, then 0.05 less each 100 K.

    A straight line through the fade of organic pads, never below 0.1.
    """
    return max(0.1, cold_friction - 0.0005 * max(0.0, temperature_c - 350))
