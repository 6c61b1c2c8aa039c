"""The COMP planner: reuse before new parts, make or buy, every part verified."""

from agents.agent import Agent, Work
from agents.planners import other_ways
from agents.planners.alternatives import answer_of, propose
from agents.planners.earlier import earlier_of
from agents.planners.proposals import Draft
from agents.planners.scope import scope_of
from domain.values import JsonObject

REUSE = "component reuse optimisation"
MAKE_OR_BUY = "make-vs-buy analysis"
VERIFICATION = "compliance verification"


async def plan(work: Work) -> JsonObject:
    """Plan the bill of materials from draft to freeze."""
    scope = scope_of(work)
    # The bill waits for a material where CAD is known to choose one: it names and prices it.
    material = ["material"] if earlier_of(work).producing("material") else []
    draft = Draft(domain="COMP")
    if material:
        draft.notes.append("CAD chooses a material: the bill of materials names it.")
    draft.add(
        "reuse",
        "Search for parts to carry over",
        "search_reuse",
        hours=8,
        rule=REUSE,
        needs=["requirements"],
    )
    draft.add(
        "bom-draft",
        "Draft the bill of materials",
        "draft_bom",
        hours=8,
        rule=REUSE,
        needs=["requirements", "reuse"],
    )
    draft.add(
        "make-or-buy",
        "Decide what to make and what to buy",
        "decide_make_or_buy",
        hours=10,
        rule=MAKE_OR_BUY,
        needs=["requirements", "bom-draft"],
    )
    draft.add(
        "bom",
        "Cost the bill of materials",
        "cost_bom",
        hours=6,
        rule=MAKE_OR_BUY,
        needs=["bom-draft", "make-or-buy", *material],
        deliverable=True,
    )
    if scope.certificates:
        draft.add(
            "component-compliance",
            "Verify the components",
            "verify_components",
            hours=8,
            rule=f"{VERIFICATION}: {', '.join(scope.certificates)}",
            needs=["bom"],
            params={"certificates": list(scope.certificates)},
        )
    else:
        draft.notes.append("No standard binds a supplier: components are not verified one by one.")
    draft.add(
        "bom-frozen",
        "Freeze the bill of materials",
        "freeze_bom",
        hours=4,
        rule=VERIFICATION,
        needs=["bom", *scope.offered("component-compliance", "design-release")],
    )
    return draft.written()


async def replan(work: Work) -> JsonObject:
    """Propose a bill of new parts, or one that names no material, for what cannot be done."""
    answer = answer_of(work, "COMP")
    propose(answer, other_ways.COMP, without=other_ways.NAMED_OPEN["COMP"])
    return answer.written()


AGENT = Agent(
    type="COMP",
    role="planning",
    actions={"plan": plan, "replan": replan},
    capabilities=("planning", "components", "bom", "compliance"),
)
