"""How fast a closed cup cools: all heat in one lump, or in layers of the wall; SI units.

Source: Incropera et al., Fundamentals of Heat and Mass Transfer, 6th ed., sections 3.1 and 3.3
(resistances in series, thin cylindrical walls as plane ones), 5.1 (lumped), 5.10 (implicit
finite differences).
"""

from dataclasses import dataclass
from math import exp, pi

WATER_J_M3K = 4.18e6
"""The heat capacity of a volume of water near 60 °C."""

INSIDE_W_M2K = 200.0
"""Still hot water on a wall, natural convection."""

OUTSIDE_W_M2K = 8.0
"""Still air on a wall, natural convection and radiation together."""

FOAM_J_M3K = 4.5e4
"""The heat capacity of a volume of rigid polyurethane foam, 30 kg/m³ of 1.5 kJ/(kg K)."""

STEPS_PER_LAYER = 24
"""Time is divided as finely as space, so that one number says how fine a grid is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cup:
    """A closed cup: two thin walls, and insulation between them."""

    length_m: float
    outer_diameter_m: float
    wall_thickness_m: float
    insulation_m: float

    @property
    def inner_diameter_m(self) -> float:
        """The diameter of what it holds."""
        return self.outer_diameter_m - 4 * self.wall_thickness_m - 2 * self.insulation_m

    @property
    def volume_m3(self) -> float:
        """What it holds."""
        return pi / 4 * self.inner_diameter_m**2 * self._inner_length

    @property
    def area_m2(self) -> float:
        """The surface through the middle of its insulation, bottom and lid as well."""
        middle = (self.outer_diameter_m + self.inner_diameter_m) / 2
        return pi * middle * self._inner_length + 2 * pi / 4 * middle**2

    @property
    def shell_m3(self) -> float:
        """The volume of the material of both walls."""
        walls = pi * (self.outer_diameter_m + self.inner_diameter_m) * self.length_m
        return self.wall_thickness_m * (walls + pi * self.outer_diameter_m**2 / 2)

    @property
    def _inner_length(self) -> float:
        return self.length_m - 2 * self.insulation_m - 4 * self.wall_thickness_m


@dataclass(frozen=True, slots=True, kw_only=True)
class Drink:
    """What is in the cup, and around it."""

    start_temperature_c: float
    ambient_temperature_c: float
    hold_hours: float
    insulation_conductivity_w_mk: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooled:
    """What becomes of it."""

    final_temperature_c: float
    hottest_outside_c: float


def loss_w_k(cup: Cup, drink: Drink, *, wall_w_mk: float) -> float:
    """Return the heat that is lost for each kelvin: resistances in series."""
    walls = 2 * cup.wall_thickness_m / wall_w_mk
    foam = cup.insulation_m / drink.insulation_conductivity_w_mk
    return cup.area_m2 / (1 / INSIDE_W_M2K + walls + foam + 1 / OUTSIDE_W_M2K)


def cooled(cup: Cup, drink: Drink, *, wall_w_mk: float) -> Cooled:
    """Return what is left in one lump: ΔT exp(-UA t / (V c))."""
    loss = loss_w_k(cup, drink, wall_w_mk=wall_w_mk)
    rise = drink.start_temperature_c - drink.ambient_temperature_c
    left = rise * exp(-loss * drink.hold_hours * 3600 / (cup.volume_m3 * WATER_J_M3K))
    outside = rise * loss / (cup.area_m2 * OUTSIDE_W_M2K)
    return Cooled(
        final_temperature_c=drink.ambient_temperature_c + left,
        hottest_outside_c=drink.ambient_temperature_c + outside,
    )


def simulated(cup: Cup, drink: Drink, *, wall_w_mk: float, layers: int) -> Cooled:
    """Return the same with the insulation divided into layers that take up heat themselves.

    Backward differences in time: every step solves one tridiagonal system, water first.
    """
    thick = cup.insulation_m / layers
    step = drink.hold_hours * 3600 / (STEPS_PER_LAYER * layers)
    wall, half = cup.wall_thickness_m / wall_w_mk, thick / 2 / drink.insulation_conductivity_w_mk
    between = drink.insulation_conductivity_w_mk / thick
    # What flows between neighbours for each kelvin and square metre, the air outside at the end.
    links = [
        1 / (1 / INSIDE_W_M2K + wall + half),
        *[between] * (layers - 1),
        1 / (1 / OUTSIDE_W_M2K + wall + half),
    ]
    stored = [
        cup.volume_m3 * WATER_J_M3K / cup.area_m2 / step,
        *[thick * FOAM_J_M3K / step] * layers,
    ]
    ambient = drink.ambient_temperature_c
    rises = [drink.start_temperature_c - ambient, *[0.0] * layers]
    hottest = 0.0
    for _ in range(STEPS_PER_LAYER * layers):
        rises = _stepped(rises, stored, links)
        hottest = max(hottest, links[-1] * rises[-1] / OUTSIDE_W_M2K)
    return Cooled(final_temperature_c=ambient + rises[0], hottest_outside_c=ambient + hottest)


def _stepped(rises: list[float], stored: list[float], links: list[float]) -> list[float]:
    """Solve one step by elimination from the water outwards, and back (Thomas)."""
    count = len(rises)
    factors, values = [0.0] * count, [0.0] * count
    for n in range(count):
        inwards = links[n - 1] if n else 0.0
        pivot = stored[n] + inwards + links[n] - inwards * (factors[n - 1] if n else 0.0)
        factors[n] = links[n] / pivot if n < count - 1 else 0.0
        values[n] = (stored[n] * rises[n] + inwards * (values[n - 1] if n else 0.0)) / pivot
    for n in range(count - 2, -1, -1):
        values[n] += factors[n] * values[n + 1]
    return values
