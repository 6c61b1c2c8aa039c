"""The SUPP planner: suppliers by risk, two of them where it matters, orders just in time."""

from agents.agent import Agent, Work
from agents.planners import other_ways
from agents.planners.alternatives import answer_of, propose
from agents.planners.earlier import earlier_of
from agents.planners.proposals import SOURCES, Bound, Draft
from agents.planners.scope import scope_of
from domain.values import JsonObject

JUST_IN_TIME = "just-in-time"
MULTI_SUPPLIER = "multi-supplier"
RISK_BASED = "risk-based supplier selection"

USUAL_DUE_DAYS = 90.0
NEEDED_AFTER_SHARE = 0.6
"""At which share of the timeline the parts have to be there, where nobody knows it better."""

LEAD_DAYS = 21.0
"""How long after the freeze of the bill the slowest parts are usually there."""


async def plan(work: Work) -> JsonObject:
    """Plan from the shortlist of suppliers to orders and stock."""
    scope = scope_of(work)
    earlier = earlier_of(work)
    draft = Draft(domain="SUPP")
    is_careful = scope.goal.priority in ("critical", "high")
    draft.add(
        "shortlist",
        "Screen the suppliers",
        "screen_suppliers",
        hours=8,
        rule=RISK_BASED,
        needs=["bom-draft"],
        params={
            "certificates": list(scope.certificates),
            "max_risk": 0.3 if is_careful else 0.5,
        },
    )
    draft.add(
        "quotes",
        "Request quotes",
        "request_quotes",
        hours=48,
        rule=MULTI_SUPPLIER,
        needs=["requirements", "bom-draft", "shortlist"],
    )
    sources = 1 if scope.is_cheap else 2
    weights: JsonObject = {"lead": 0.6} if scope.is_tight else {}
    if scope.is_cheap:
        weights["cost"] = 0.8
        draft.notes.append("Little money: one source for each part, and the price weighs most.")
    draft.add(
        "suppliers",
        "Choose the suppliers",
        "choose_suppliers",
        hours=8,
        rule=f"{MULTI_SUPPLIER}: {'one source' if scope.is_cheap else 'two for critical parts'}",
        needs=["requirements", "quotes", "make-or-buy"],
        params={"sources": sources, "weights": weights},
        bounds={SOURCES: Bound(high=sources)},
    )
    draft.add(
        "supply-risks",
        "Assess the risk of the supply",
        "assess_supply_risk",
        hours=6,
        rule=RISK_BASED,
        needs=["suppliers"],
    )
    due_days = scope.hours / 24 if scope.hours else USUAL_DUE_DAYS
    need_day = due_days * NEEDED_AFTER_SHARE
    frozen = [] if earlier.producing("bom-frozen") is None else ["bom-frozen"]
    if frozen:
        # Parts that are still being decided are not ordered, and nobody waits for them either.
        need_day = min(need_day, earlier.hours_until("bom-frozen") / 24 + LEAD_DAYS)
        draft.notes.append(f"COMP freezes its parts first: they are needed on day {need_day:.0f}.")
    draft.add(
        "orders",
        "Schedule the orders",
        "schedule_orders",
        hours=6,
        rule=f"{JUST_IN_TIME}: after the freeze" if frozen else JUST_IN_TIME,
        needs=["suppliers", *frozen],
        params={
            "need_day": min(36500.0, need_day),
            "buffer_days": 1 if scope.is_tight else 3,
        },
        deliverable=True,
    )
    if scope.kind.is_hardware:
        draft.add(
            "stock",
            "Size the safety stock",
            "size_stock",
            hours=6,
            rule=JUST_IN_TIME,
            needs=["requirements", "bom-draft", "suppliers"],
        )
    return draft.written()


async def replan(work: Work) -> JsonObject:
    """Propose one source for each part where two cannot be had."""
    answer = answer_of(work, "SUPP")
    propose(answer, other_ways.SUPP, without=other_ways.NAMED_OPEN["SUPP"])
    return answer.written()


AGENT = Agent(
    type="SUPP",
    role="planning",
    actions={"plan": plan, "replan": replan},
    capabilities=("planning", "suppliers", "procurement", "logistics"),
)
