"""The campaigns of simulations for things that are made: brakes, structures, cups."""

from agents.planners.proposals import Draft
from agents.planners.scope import Scope
from agents.planners.simulating import MULTI_FIDELITY, PROGRESSIVE, compare, simulate


def plan_brake(draft: Draft, scope: Scope) -> None:
    """Propose the stresses of the housing, the temperature of the rotor, and the stop itself."""
    asked, housing = "requirements", ["hydraulics", "material"]
    if scope.iterations > 1:
        simulate(
            draft,
            "screening",
            "Screen the stresses of the first draft",
            "screen_stress",
            hours=10,
            rule=f"{PROGRESSIVE}: thin walls",
            needs=[asked, "concept", *(housing[:1] if scope.is_concurrent else housing)],
        )
    simulate(
        draft,
        "thermal-screening",
        "Screen the rotor's temperature rise",
        "screen_thermal",
        hours=6,
        rule=f"{MULTI_FIDELITY}: one lump",
        needs=[asked, "rotor"],
    )
    simulate(
        draft,
        "braking",
        "Simulate the stop",
        "simulate_braking",
        hours=16,
        rule=PROGRESSIVE,
        needs=[asked, "hydraulics"],
    )
    simulate(
        draft,
        "stress",
        "Analyse the stresses of the final design",
        "analyse_stress",
        hours=40,
        rule=f"{PROGRESSIVE}: thick walls",
        needs=[asked, "design", *housing],
    )
    simulate(
        draft,
        "rotor-temperature",
        "Simulate the rotor's temperature in layers",
        "simulate_rotor",
        hours=24,
        rule=f"{MULTI_FIDELITY}: finite differences",
        needs=[asked, "rotor", "braking"],
    )
    compare(
        draft,
        cheap=("thermal-screening", "temperature_rise_k"),
        fine=("rotor-temperature", "peak_surface_rise_k"),
    )
    if scope.is_cheap:
        return
    simulate(
        draft,
        "convergence",
        "Study the convergence of the grid",
        "study_rotor_convergence",
        hours=24,
        rule=f"{MULTI_FIDELITY}: three grids",
        needs=[asked, "rotor", "braking"],
    )
    simulate(
        draft,
        "fade",
        "Simulate repeated stops",
        "simulate_fade",
        hours=24,
        rule=PROGRESSIVE,
        needs=[asked, "rotor", "thermal-screening"],
    )
    _plan_fatigue(draft)


def plan_structure(draft: Draft, scope: Scope) -> None:
    """Propose the bending and the vibration of a tube."""
    asked = "requirements"
    if scope.iterations > 1:
        simulate(
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
            simulate(
                draft,
                key,
                name,
                action,
                hours=hours,
                rule=rule,
                needs=[asked, "design", "material"],
            )
    compare(draft, cheap=("stress", "formula_deflection_m"), fine=("stress", "deflection_m"))
    if not scope.is_cheap:
        _plan_fatigue(draft)


def plan_vessel(draft: Draft, scope: Scope) -> None:
    """Propose how a cup cools."""
    asked, made_of = "requirements", ["material"]
    if scope.iterations > 1:
        simulate(
            draft,
            "screening",
            "Screen the cooling of the first draft",
            "screen_cooling",
            hours=6,
            rule=f"{PROGRESSIVE}: one lump",
            needs=[asked, "concept", *([] if scope.is_concurrent else made_of)],
        )
    simulate(
        draft,
        "cooling",
        "Simulate the cooling in layers",
        "simulate_cooling",
        hours=16,
        rule=f"{MULTI_FIDELITY}: finite differences",
        needs=[asked, "design", *made_of],
    )
    compare(
        draft,
        cheap=("cooling", "formula_temperature_c"),
        fine=("cooling", "final_temperature_c"),
    )
    if not scope.is_cheap:
        simulate(
            draft,
            "convergence",
            "Study the convergence of the grid",
            "study_cooling_convergence",
            hours=12,
            rule=f"{MULTI_FIDELITY}: three grids",
            needs=[asked, "design", *made_of],
        )


def _plan_fatigue(draft: Draft) -> None:
    simulate(
        draft,
        "fatigue",
        "Estimate the fatigue life",
        "estimate_fatigue",
        hours=32,
        rule=PROGRESSIVE,
        needs=["stress", "material"],
    )
