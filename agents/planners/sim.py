"""The SIM planner: acceptance tests first, cheap models before fine ones, each step on the last."""

from agents.agent import Agent, Work
from agents.planners.earlier import Earlier, earlier_of
from agents.planners.proposals import Draft
from agents.planners.scope import Scope, scope_of
from domain.values import JsonObject

TEST_DRIVEN = "test-driven"
PROGRESSIVE = "progressive validation"
MULTI_FIDELITY = "multi-fidelity"


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
    match scope.kind.name:
        case "brake":
            _plan_brake(draft, scope)
        case "structure":
            _plan_structure(draft, scope)
        case "vessel":
            _plan_vessel(draft, scope)
        case "software":
            _plan_software(draft, scope)
        case "study":
            _plan_study(draft, scope)
        case "general":
            _plan_effort(draft)
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


def _simulate(
    draft: Draft, key: str, name: str, action: str, *, hours: float, rule: str, needs: list[str]
) -> None:
    """Propose a simulation: none runs before it is written down what it has to show."""
    draft.add(key, name, action, hours=hours, rule=rule, needs=needs, after=["acceptance"])


def _plan_brake(draft: Draft, scope: Scope) -> None:
    asked, housing = "requirements", ["hydraulics", "material"]
    if scope.iterations > 1:
        _simulate(
            draft,
            "screening",
            "Screen the stresses of the first draft",
            "screen_stress",
            hours=10,
            rule=f"{PROGRESSIVE}: thin walls",
            needs=[asked, "concept", *(housing[:1] if scope.is_concurrent else housing)],
        )
    _simulate(
        draft,
        "thermal-screening",
        "Screen the rotor's temperature rise",
        "screen_thermal",
        hours=6,
        rule=f"{MULTI_FIDELITY}: one lump",
        needs=[asked, "rotor"],
    )
    _simulate(
        draft,
        "braking",
        "Simulate the stop",
        "simulate_braking",
        hours=16,
        rule=PROGRESSIVE,
        needs=[asked, "hydraulics"],
    )
    _simulate(
        draft,
        "stress",
        "Analyse the stresses of the final design",
        "analyse_stress",
        hours=40,
        rule=f"{PROGRESSIVE}: thick walls",
        needs=[asked, "design", *housing],
    )
    _simulate(
        draft,
        "rotor-temperature",
        "Simulate the rotor's temperature in layers",
        "simulate_rotor",
        hours=24,
        rule=f"{MULTI_FIDELITY}: finite differences",
        needs=[asked, "rotor", "braking"],
    )
    _compare(
        draft,
        cheap=("thermal-screening", "temperature_rise_k"),
        fine=("rotor-temperature", "peak_surface_rise_k"),
    )
    if scope.is_cheap:
        return
    _simulate(
        draft,
        "convergence",
        "Study the convergence of the grid",
        "study_rotor_convergence",
        hours=24,
        rule=f"{MULTI_FIDELITY}: three grids",
        needs=[asked, "rotor", "braking"],
    )
    _simulate(
        draft,
        "fade",
        "Simulate repeated stops",
        "simulate_fade",
        hours=24,
        rule=PROGRESSIVE,
        needs=[asked, "rotor", "thermal-screening"],
    )
    _plan_fatigue(draft)


def _plan_structure(draft: Draft, scope: Scope) -> None:
    asked = "requirements"
    if scope.iterations > 1:
        _simulate(
            draft,
            "screening",
            "Screen deflection and stress of the first draft",
            "screen_beam",
            hours=8,
            rule=f"{PROGRESSIVE}: formula",
            needs=[asked, "concept", *([] if scope.is_concurrent else ["material"])],
        )
    for key, name, action, hours, rule in (
        ("stress", "Analyse the bending of the final design", "analyse_beam", 32, PROGRESSIVE),
        ("vibration", "Analyse the first bending mode", "analyse_vibration", 24, PROGRESSIVE),
        (
            "convergence",
            "Study the convergence of the grid",
            "study_beam_convergence",
            16,
            f"{MULTI_FIDELITY}: three grids",
        ),
    ):
        if key != "convergence" or not scope.is_cheap:
            _simulate(
                draft,
                key,
                name,
                action,
                hours=hours,
                rule=rule,
                needs=[asked, "design", "material"],
            )
    _compare(draft, cheap=("stress", "formula_deflection_m"), fine=("stress", "deflection_m"))
    if not scope.is_cheap:
        _plan_fatigue(draft)


def _plan_software(draft: Draft, scope: Scope) -> None:
    asked = "requirements"
    if scope.iterations > 1:
        _simulate(
            draft,
            "screening",
            "Screen response time and availability by formula",
            "screen_capacity",
            hours=6,
            rule=f"{PROGRESSIVE}: formula",
            needs=[asked, "concept"],
        )
    _simulate(
        draft,
        "load-simulation",
        "Simulate the load",
        "simulate_load",
        hours=16,
        rule=f"{MULTI_FIDELITY}: every request",
        needs=["design"],
    )
    _simulate(
        draft,
        "availability",
        "Assess the availability",
        "assess_availability",
        hours=8,
        rule=PROGRESSIVE,
        needs=[asked, "design"],
    )
    _compare(
        draft,
        cheap=("load-simulation", "formula_response_time_s"),
        fine=("load-simulation", "response_time_s"),
    )


def _plan_vessel(draft: Draft, scope: Scope) -> None:
    asked, made_of = "requirements", ["material"]
    if scope.iterations > 1:
        _simulate(
            draft,
            "screening",
            "Screen the cooling of the first draft",
            "screen_cooling",
            hours=6,
            rule=f"{PROGRESSIVE}: one lump",
            needs=[asked, "concept", *([] if scope.is_concurrent else made_of)],
        )
    _simulate(
        draft,
        "cooling",
        "Simulate the cooling in layers",
        "simulate_cooling",
        hours=16,
        rule=f"{MULTI_FIDELITY}: finite differences",
        needs=[asked, "design", *made_of],
    )
    _compare(
        draft,
        cheap=("cooling", "formula_temperature_c"),
        fine=("cooling", "final_temperature_c"),
    )
    if not scope.is_cheap:
        _simulate(
            draft,
            "convergence",
            "Study the convergence of the grid",
            "study_cooling_convergence",
            hours=12,
            rule=f"{MULTI_FIDELITY}: three grids",
            needs=[asked, "design", *made_of],
        )


def _plan_study(draft: Draft, scope: Scope) -> None:
    asked = "requirements"
    if scope.iterations > 1:
        _simulate(
            draft,
            "screening",
            "Screen the power of the first draft",
            "screen_power",
            hours=4,
            rule=f"{PROGRESSIVE}: formula",
            needs=[asked, "concept"],
        )
    _simulate(
        draft,
        "power",
        "Simulate the power",
        "simulate_power",
        hours=12,
        rule=f"{MULTI_FIDELITY}: drawn studies",
        needs=[asked, "design"],
    )
    _simulate(
        draft,
        "recruitment",
        "Assess the recruitment",
        "assess_recruitment",
        hours=6,
        rule=PROGRESSIVE,
        needs=[asked, "design"],
    )
    _compare(draft, cheap=("power", "formula_power"), fine=("power", "power"))


def _plan_effort(draft: Draft) -> None:
    _simulate(
        draft,
        "screening",
        "Estimate the effort by formula",
        "screen_effort",
        hours=4,
        rule=f"{MULTI_FIDELITY}: formula",
        needs=["design"],
    )
    _simulate(
        draft,
        "effort-simulation",
        "Simulate the effort",
        "simulate_effort",
        hours=8,
        rule=f"{MULTI_FIDELITY}: draws",
        needs=["design"],
    )
    _compare(
        draft,
        cheap=("screening", "effort_p80_hours"),
        fine=("effort-simulation", "effort_p80_hours"),
    )


def _compare(draft: Draft, *, cheap: tuple[str, str], fine: tuple[str, str]) -> None:
    draft.add(
        "fidelity",
        "Compare the cheap model with the fine one",
        "compare_fidelities",
        hours=4,
        rule=MULTI_FIDELITY,
        needs=sorted({cheap[0], fine[0]}),
        params={"cheap": list(cheap), "fine": list(fine)},
    )


def _plan_fatigue(draft: Draft) -> None:
    _simulate(
        draft,
        "fatigue",
        "Estimate the fatigue life",
        "estimate_fatigue",
        hours=32,
        rule=PROGRESSIVE,
        needs=["stress", "material"],
    )


AGENT = Agent(
    type="SIM",
    role="planning",
    actions={"plan": plan},
    capabilities=("planning", "simulation", "analysis", "validation", "testing"),
)
