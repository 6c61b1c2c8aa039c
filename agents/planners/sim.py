"""The SIM planner: acceptance tests first, cheap models before fine ones, each step on the last."""

from agents.agent import Agent, Work
from agents.planners import other_ways
from agents.planners.alternatives import answer_of, propose
from agents.planners.campaigns import plan_campaign
from agents.planners.earlier import Earlier, earlier_of
from agents.planners.proposals import Draft
from agents.planners.scope import scope_of
from agents.planners.simulating import PROGRESSIVE
from domain.values import JsonObject

TEST_DRIVEN = "test-driven"


async def plan(work: Work) -> JsonObject:
    """Plan acceptance tests, a campaign of simulations, and the validation."""
    scope = scope_of(work)
    earlier = earlier_of(work)
    draft = Draft(domain="SIM")
    draft.add(
        "acceptance",
        "Define the acceptance tests",
        "define_acceptance",
        hours=6,
        rule=TEST_DRIVEN,
        needs=["requirements"],
        params={"evidence": [*sorted(scope.evidence)]},
    )
    plan_campaign(draft, scope)
    _follow_iterations(draft, earlier)
    if scope.is_cheap:
        draft.notes.append("Little money: fatigue, fade and grid studies are left out.")
    draft.add(
        "validation",
        "Validate against the acceptance tests",
        "evaluate_acceptance",
        hours=12,
        rule=TEST_DRIVEN,
        needs=["acceptance", *sorted(scope.evidence)],
        deliverable=True,
    )
    return draft.written()


def _follow_iterations(draft: Draft, earlier: Earlier) -> None:
    """Screen as well the iteration between first draft and final design, where CAD plans one."""
    screening = next((task for task in draft.tasks if task.key == "screening"), None)
    refined = earlier.producing("refined")
    if screening is None or refined is None:
        return
    draft.notes.append(f"CAD proposes {refined.name!r}: it is screened like the first draft.")
    draft.tasks.append(
        screening.model_copy(
            update={
                "key": "refined-screening",
                "name": f"{screening.name.removesuffix('of the first draft')}of iteration 2",
                "params": {"of": "refined"},
                "produces": ("refined-screening",),
                "needs": (*(need for need in screening.needs if need != "concept"), "refined"),
                "rule": f"{PROGRESSIVE}: every iteration that CAD plans",
            }
        )
    )


async def replan(work: Work) -> JsonObject:
    """Propose formulas for what nobody can simulate, and leave out what can be missed."""
    answer = answer_of(work, "SIM")
    propose(answer, other_ways.SIM, without=other_ways.NAMED_OPEN["SIM"])
    return answer.written()


AGENT = Agent(
    type="SIM",
    role="planning",
    actions={"plan": plan, "replan": replan},
    capabilities=("planning", "simulation", "analysis", "validation", "testing"),
)
