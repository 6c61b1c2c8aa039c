"""Whom to buy from, when to order, how much to keep: suppliers, quotes, orders, stock."""

from collections import defaultdict
from dataclasses import asdict, dataclass

from agents.agent import CannotBeDone, Work
from agents.catalogue.shelf import kind, suppliers
from agents.engineering.procurement import (
    concentration,
    latest_order_day,
    rated,
    safety_stock,
)
from agents.reading import number, read, result, shaped
from agents.skills.asked import asked
from agents.skills.bill import Decided, Line
from domain.values import JsonObject

DISCOUNTS = ((10_000, 0.12), (1_000, 0.07), (100, 0.03), (0, 0.0))
"""From how many pieces a year on the catalogue's sellers give which discount."""

FIRST_SHARE = 0.7
"""What the first of two suppliers gets."""

WORKING_DAYS = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a supplier asks for one piece, and in how many days it comes."""

    part: str
    supplier: str
    unit_price: float
    lead_days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Award:
    """Who gets which share of a part."""

    part: str
    supplier: str
    share: float
    unit_price: float
    lead_days: float


async def screen_suppliers(work: Work) -> JsonObject:
    """Keep the suppliers that are certified and not too risky; else the least risky one."""
    certificates = shaped(work.params.get("certificates", []), set[str], where="the certificates")
    most_risk = number(work.params, "max_risk", low=0, high=1, default=0.5)
    lines = read(work, "bom-draft", tuple[Line, ...], part="lines")
    kept: dict[str, list[str]] = {}
    exceptions: list[str] = []
    for category in sorted({line.category for line in lines}):
        sellers = [each for each in suppliers() if category in each.categories]
        if not sellers:
            raise CannotBeDone(f"the catalogue has no supplier for {category}")
        fit = [
            each
            for each in sellers
            if certificates <= set(each.certificates) and each.risk <= most_risk
        ]
        if not fit:
            exceptions.append(category)
            fit = [min(sellers, key=lambda each: (each.risk, each.name))]
        kept[category] = sorted(each.name for each in fit)
    names = {name for sellers in kept.values() for name in sellers}
    return result(
        f"{len(names)} suppliers for {len(kept)} categories; {len(exceptions)} by exception",
        {"by_category": kept, "exceptions": exceptions, "certificates": sorted(certificates)},
    )


async def request_quotes(work: Work) -> JsonObject:
    """Work out what every supplier on the shortlist asks, with discounts by yearly quantity."""
    what = asked(work)
    shortlist = read(work, "shortlist", dict[str, list[str]], part="by_category")
    lines = {line.part: line for line in read(work, "bom-draft", tuple[Line, ...], part="lines")}
    by_name = {each.name: each for each in suppliers()}
    quotes: list[Quote] = []
    for part in kind(what.kind).parts:
        if part.name not in lines:
            continue
        yearly = what.sets * lines[part.name].quantity
        discount = next(share for least, share in DISCOUNTS if yearly >= least)
        quotes += [
            Quote(
                part=part.name,
                supplier=name,
                unit_price=part.buy_unit * by_name[name].price_factor * (1 - discount),
                lead_days=part.lead_days * by_name[name].lead_factor,
            )
            for name in shortlist.get(part.category, ())
            if name in by_name
        ]
        work.progress(len(quotes) / (3 * len(lines)))
    return result(
        f"{len(quotes)} quotes for {len(lines)} parts", {"quotes": [asdict(q) for q in quotes]}
    )


async def choose_suppliers(work: Work) -> JsonObject:
    """Choose by weighted cost, lead time and risk; critical parts get two where there are two.

    What is made in the house is bought from nobody.
    """
    weights = {"cost": 0.4, "lead": 0.3, "risk": 0.3} | shaped(
        work.params.get("weights", {}), dict[str, float], where="the weights"
    )
    sources = int(number(work.params, "sources", low=1, high=2, default=2))
    decided = read(work, "make-or-buy", tuple[Decided, ...], part="decisions")
    made = {each.part for each in decided if each.choice == "make"}
    quotes: dict[str, dict[str, Quote]] = defaultdict(dict)
    for quote in read(work, "quotes", tuple[Quote, ...], part="quotes"):
        if quote.part not in made:
            quotes[quote.part][quote.supplier] = quote
    critical = {part.name for part in kind(asked(work).kind).parts if part.is_critical}
    by_name = {each.name: each for each in suppliers()}
    awards: list[Award] = []
    for part, offers in sorted(quotes.items()):
        ranking = rated(
            [by_name[name] for name in sorted(offers)],
            cost=weights["cost"],
            lead=weights["lead"],
            risk=weights["risk"],
        )
        wanted = ranking[: sources if part in critical else 1]
        shares = (FIRST_SHARE, 1 - FIRST_SHARE) if len(wanted) > 1 else (1.0,)
        awards += [
            Award(
                part=part,
                supplier=choice.name,
                share=share,
                unit_price=offers[choice.name].unit_price,
                lead_days=offers[choice.name].lead_days,
            )
            for choice, share in zip(wanted, shares, strict=True)
        ]
    doubled = len(awards) - len(quotes)
    return result(
        f"{len({award.supplier for award in awards})} suppliers for {len(quotes)} parts,"
        f" {doubled} of them with a second source",
        {"awards": [asdict(award) for award in awards], "second_sources": doubled},
    )


async def assess_supply_risk(work: Work) -> JsonObject:
    """Compute the mean risk, and how concentrated the spending is on regions."""
    awards = _awards(work)
    by_name = {each.name: each for each in suppliers()}
    spent: dict[str, float] = defaultdict(float)
    risk = 0.0
    for award in awards:
        spent[by_name[award.supplier].region] += award.share * award.unit_price
        risk += award.share * award.unit_price * by_name[award.supplier].risk
    if not awards:
        return result("Nothing is bought: no risk", {"mean_risk": 0.0, "is_concentrated": False})
    whole = sum(spent.values())
    index = concentration([amount / whole for amount in spent.values()])
    return result(
        f"Mean risk {risk / whole:.2f}, regional concentration {index:.2f}",
        {
            "mean_risk": risk / whole,
            "regional_concentration": index,
            "regions": {region: amount / whole for region, amount in sorted(spent.items())},
            "is_concentrated": index > 0.5,
        },
    )


async def schedule_orders(work: Work) -> JsonObject:
    """Place each order on the last day that is still in time."""
    buffer = number(work.params, "buffer_days", low=0, high=365, default=2)
    need = number(work.params, "need_day", low=0, high=36500, default=60)
    orders = sorted(
        (
            (
                latest_order_day(need, lead_days=award.lead_days, buffer_days=buffer),
                award.part,
                award.supplier,
                award.lead_days,
            )
            for award in _awards(work)
        ),
        key=lambda order: order[:3],
    )
    if not orders:
        return result("Nothing is bought: no orders", {"need_day": need, "orders": [], "late": []})
    late = [part for day, part, _, _ in orders if day < 0]
    longest = max(lead for *_, lead in orders)
    return result(
        f"{len(orders)} orders for day {need:g}, the first on day {max(0, orders[0][0]):.1f};"
        f" {len(late)} come late",
        {
            "need_day": need,
            "orders": [
                {"part": part, "supplier": supplier, "order_day": max(0.0, day)}
                for day, part, supplier, _ in orders
            ],
            "late": late,
            "earliest_possible_day": longest + buffer,
        },
    )


async def size_stock(work: Work) -> JsonObject:
    """Compute the safety stock of every part."""
    lines = {line.part: line for line in read(work, "bom-draft", tuple[Line, ...], part="lines")}
    sets = asked(work).sets
    stocks = {
        award.part: safety_stock(
            daily_demand=sets * lines[award.part].quantity / WORKING_DAYS,
            lead_days=award.lead_days,
        )
        for award in reversed(_awards(work))
        if award.part in lines
    }
    return result(
        f"{sum(stocks.values())} pieces of {len(stocks)} parts cover 95 % of demand",
        {"pieces": dict(sorted(stocks.items())), "service_level": 0.95},
    )


def _awards(work: Work) -> tuple[Award, ...]:
    awards = read(work, "suppliers", tuple[Award, ...], part="awards")
    known = {each.name for each in suppliers()}
    if strange := sorted({award.supplier for award in awards} - known):
        raise CannotBeDone(f"the catalogue knows no supplier {', '.join(strange)}")
    return awards
