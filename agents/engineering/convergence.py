"""Whether a numeric answer depends on its grid: three grids, an order and an uncertainty.

Source: P. J. Roache, "Perspective: A method for uniform reporting of grid refinement studies",
Journal of Fluids Engineering 116 (1994), with the safety factor 1.25 for three grids.
"""

from dataclasses import dataclass
from math import log


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence:
    """What three grids, each with a constant refinement ratio to the next, say together."""

    observed_order: float
    extrapolated: float
    relative_uncertainty: float
    """The grid convergence index of the finest grid, as a share of its value."""

    is_monotonic: bool


def study(coarse: float, medium: float, fine: float, *, ratio: float = 2.0) -> Convergence:
    """Return order and Richardson's extrapolation; oscillating values count as first order.

    p = ln((f₃ - f₂) / (f₂ - f₁)) / ln r, f = f₁ + (f₁ - f₂) / (rᵖ - 1).
    """
    first, second = medium - coarse, fine - medium
    if second == 0:
        return Convergence(
            observed_order=0.0, extrapolated=fine, relative_uncertainty=0.0, is_monotonic=True
        )
    is_monotonic = first / second > 1
    order = log(first / second) / log(ratio) if is_monotonic else 1.0
    change = second / (ratio**order - 1)
    return Convergence(
        observed_order=order,
        extrapolated=fine + change,
        relative_uncertainty=1.25 * abs(change / fine) if fine else 0.0,
        is_monotonic=is_monotonic,
    )
