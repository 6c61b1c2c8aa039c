"""Make or buy, whom to buy from, when to order, how much to keep.

Sources: P. Heizer and B. Render, Operations Management, 10th ed., supplement 7 (crossover) and the
chapters on supply chains (factor rating) and inventory (safety stock); U.S. Department of Justice,
Horizontal Merger Guidelines 2010, section 5.3 (Herfindahl-Hirschman index).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, sqrt

from agents.catalogue.shelf import Part, Supplier
from agents.engineering.decisions import Ranked, normalised, rank

SERVICE_LEVEL_Z = 1.645
"""Standard deviations that cover 95 % of a normal demand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeOrBuy:
    """The cheaper way to get a part, by the cost of one."""

    part: str
    choice: str
    unit_cost: float
    break_even_quantity: float | None
    """From how many on making is cheaper; None where it never is."""


def make_or_buy(part: Part, *, sets: int) -> MakeOrBuy:
    """Compare setup / n + make with buy, for n = sets times quantity; equal costs are bought."""
    count = sets * part.quantity
    making = part.make_setup / count + part.make_unit
    saved = part.buy_unit - part.make_unit
    crossover = part.make_setup / saved if saved > 0 else inf
    return MakeOrBuy(
        part=part.name,
        choice="make" if making < part.buy_unit else "buy",
        unit_cost=min(making, part.buy_unit),
        break_even_quantity=None if crossover == inf else crossover,
    )


def rated(
    suppliers: Sequence[Supplier], *, cost: float, lead: float, risk: float
) -> tuple[Ranked, ...]:
    """Rank suppliers by the weights of cost, lead time and risk."""
    prices = normalised({each.name: each.price_factor for each in suppliers}, is_cost=True)
    leads = normalised({each.name: each.lead_factor for each in suppliers}, is_cost=True)
    risks = normalised({each.name: each.risk for each in suppliers}, is_cost=True)
    return rank(
        {
            each.name: {
                "cost": prices[each.name],
                "lead": leads[each.name],
                "risk": risks[each.name],
            }
            for each in suppliers
        },
        {"cost": cost, "lead": lead, "risk": risk},
    )


def concentration(shares: Sequence[float]) -> float:
    """Return the Herfindahl-Hirschman index Σ sᵢ² of shares that sum to 1: 1 is a monopoly."""
    return sum(share**2 for share in shares)


def latest_order_day(need_day: float, *, lead_days: float, buffer_days: float) -> float:
    """Return the last day on which an order comes just in time; negative is too late."""
    return need_day - lead_days - buffer_days


def safety_stock(*, daily_demand: float, lead_days: float) -> int:
    """Return the stock that covers 95 % of demand during the lead time, z √(d L), rounded up.

    Demand counts as Poisson: its variance over the lead time is its mean.
    """
    return ceil(SERVICE_LEVEL_Z * sqrt(daily_demand * lead_days))
