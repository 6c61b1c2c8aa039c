"""The campaigns of simulations: which for which kind of goal, cheap models before fine ones."""

from agents.planners.hardware import plan_brake, plan_structure, plan_vessel
from agents.planners.proposals import Draft
from agents.planners.scope import Scope
from agents.planners.simulating import MULTI_FIDELITY, PROGRESSIVE, compare, simulate


def plan_campaign(draft: Draft, scope: Scope) -> None:
    """Propose the simulations that a goal of its kind needs."""
    match scope.kind.name:
        case "brake":
            plan_brake(draft, scope)
        case "structure":
            plan_structure(draft, scope)
        case "vessel":
            plan_vessel(draft, scope)
        case "software":
            _plan_software(draft, scope)
        case "study":
            _plan_study(draft, scope)
        case "general":
            _plan_effort(draft)


def _plan_software(draft: Draft, scope: Scope) -> None:
    asked = "requirements"
    if scope.iterations > 1:
        simulate(
            draft,
            "screening",
            "Screen response time and availability by formula",
            "screen_capacity",
            hours=6,
            rule=f"{PROGRESSIVE}: formula",
            needs=[asked, "concept"],
        )
    simulate(
        draft,
        "load-simulation",
        "Simulate the load",
        "simulate_load",
        hours=16,
        rule=f"{MULTI_FIDELITY}: every request",
        needs=["design"],
    )
    simulate(
        draft,
        "availability",
        "Assess the availability",
        "assess_availability",
        hours=8,
        rule=PROGRESSIVE,
        needs=[asked, "design"],
    )
    compare(
        draft,
        cheap=("load-simulation", "formula_response_time_s"),
        fine=("load-simulation", "response_time_s"),
    )


def _plan_study(draft: Draft, scope: Scope) -> None:
    asked = "requirements"
    if scope.iterations > 1:
        simulate(
            draft,
            "screening",
            "Screen the power of the first draft",
            "screen_power",
            hours=4,
            rule=f"{PROGRESSIVE}: formula",
            needs=[asked, "concept"],
        )
    simulate(
        draft,
        "power",
        "Simulate the power",
        "simulate_power",
        hours=12,
        rule=f"{MULTI_FIDELITY}: drawn studies",
        needs=[asked, "design"],
    )
    simulate(
        draft,
        "recruitment",
        "Assess the recruitment",
        "assess_recruitment",
        hours=6,
        rule=PROGRESSIVE,
        needs=[asked, "design"],
    )
    compare(draft, cheap=("power", "formula_power"), fine=("power", "power"))


def _plan_effort(draft: Draft) -> None:
    simulate(
        draft,
        "screening",
        "Estimate the effort by formula",
        "screen_effort",
        hours=4,
        rule=f"{MULTI_FIDELITY}: formula",
        needs=["design"],
    )
    simulate(
        draft,
        "effort-simulation",
        "Simulate the effort",
        "simulate_effort",
        hours=8,
        rule=f"{MULTI_FIDELITY}: draws",
        needs=["design"],
    )
    compare(
        draft,
        cheap=("screening", "effort_p80_hours"),
        fine=("effort-simulation", "effort_p80_hours"),
    )
