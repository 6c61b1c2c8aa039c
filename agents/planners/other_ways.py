"""The domains' other ways: what stands in the place of work that cannot be done as planned."""

from collections.abc import Mapping, Sequence

from agents.planners.affected import free_id
from agents.planners.alternatives import Answer, Substitute
from agents.planners.proposals import HOURLY_RATES
from domain.estimates import BY_RULE
from domain.tasks import Task
from domain.values import JsonObject

MULTI_FIDELITY = "multi-fidelity: a formula in the place of the fine analysis"
STRENGTHENED = "iterative design: the strengthened design stands"
STRONGER = "iterative design: once more, in a stronger material"
SIZING_ITSELF = "iterative design: one pass that sizes itself"
NEW_PARTS = "component reuse optimisation: nothing is carried over"
UNNAMED = "make-vs-buy analysis: costed without the material"
ONE_SOURCE = "multi-supplier: one source for each part"
NAMED_OPEN = {
    "META": "compliance-first: left out, and named where it is missed",
    "CAD": "design-for-X: left out, and named at the release",
    "SIM": "progressive validation: left out, and not shown",
    "COMP": "compliance verification: left out, and open at the freeze",
    "SUPP": "risk-based supplier selection: left out",
}
"""By which rule each domain leaves something out."""


def _by_formula(action: str, hours: float, *inputs: str) -> list[Substitute]:
    return [
        Substitute(
            action=action,
            rule=MULTI_FIDELITY,
            called="by formula",
            hours=hours,
            params={} if action == "screen_effort" else {"of": "design"},
            inputs=inputs,
            spoils=("compare_fidelities",),
        )
    ]


SIM: Mapping[str, Sequence[Substitute]] = {
    "analyse_stress": _by_formula(
        "screen_stress", 10, "requirements", "design", "hydraulics", "material"
    ),
    "analyse_beam": _by_formula("screen_beam", 8, "requirements", "design", "material"),
    "simulate_cooling": _by_formula("screen_cooling", 6, "requirements", "design", "material"),
    "simulate_load": _by_formula("screen_capacity", 6, "requirements", "design"),
    "assess_availability": _by_formula("screen_capacity", 6, "requirements", "design"),
    "simulate_power": _by_formula("screen_power", 4, "requirements", "design"),
    "simulate_effort": _by_formula("screen_effort", 4, "design"),
}

CAD: Mapping[str, Sequence[Substitute]] = {
    f"lighten_{thing}": [
        Substitute(
            action=f"refine_{thing}",
            rule=STRENGTHENED,
            called="strengthened only",
            hours=16,
            renamed={"refined": "concept"},
        )
    ]
    for thing in ("housing", "tube", "cup")
} | {
    f"draft_{thing}": [
        Substitute(action=f"refine_{thing}", rule=SIZING_ITSELF, called="in one pass", hours=24)
    ]
    for thing in ("housing", "tube", "cup", "capacity", "study")
}

COMP: Mapping[str, Sequence[Substitute]] = {
    "draft_bom": [
        Substitute(
            action="draft_bom",
            rule=NEW_PARTS,
            called="with new parts only",
            hours=8,
            without=("reuse",),
        )
    ],
    "cost_bom": [
        Substitute(
            action="cost_bom",
            rule=UNNAMED,
            called="whatever it is made of",
            hours=6,
            without=("material",),
        )
    ],
}

SUPP: Mapping[str, Sequence[Substitute]] = {
    "choose_suppliers": [
        Substitute(
            action="choose_suppliers",
            rule=ONE_SOURCE,
            called="one for each part",
            hours=8,
            params={"sources": 1},
        )
    ],
}

STRENGTH: Mapping[str, JsonObject] = {
    "refine_housing": {"strength": 1.0, "stiffness": 0.0, "conduction": 0.0, "price": 0.0},
    "refine_tube": {"strength": 0.5, "stiffness": 0.5, "conduction": 0.0, "price": 0.0},
}
"""What counts in the choice of a material when a design in the chosen one has failed."""


def strengthen(answer: Answer) -> None:
    """Choose a stronger material for a design that failed for good, and design once more.

    Whoever builds on the old choice and is not done is given the new one.
    """
    asked = answer.asked
    failed = asked.by_id.get(asked.question.task_id or "")
    if failed is None or failed.agent != answer.domain or failed.action not in STRENGTH:
        return
    before = asked.by_id.get(failed.inputs.get("material", ""))
    weights: JsonObject = {"weights": STRENGTH[failed.action]}
    if before is None or before.action != "select_material" or before.params == weights:
        return
    if not (
        asked.serves(before.agent, before.action) and asked.serves(failed.agent, failed.action)
    ):
        return
    chosen = before.model_copy(
        update={
            "id": free_id(asked.by_id),
            "name": f"{before.name} again, the strongest"[:200],
            "params": weights,
            "cost": before.duration.total_seconds() / 3600 * HOURLY_RATES["CAD"],
            "estimate": BY_RULE,
            "origin": f"{answer.domain}: {STRONGER}",
        }
    )
    answer.added.append(chosen)
    answer.notes.append(f"{chosen.id} {chosen.name}: {STRONGER}, as {failed.id} failed")
    for task in asked.question.tasks:
        if before.id in task.inputs.values() and task.id not in asked.question.met:
            answer.put(task.id, _given(task, before.id, chosen.id), STRONGER)


def _given(task: Task, old: str, new: str) -> Task:
    inputs = {name: new if need == old else need for name, need in task.inputs.items()}
    return task.model_copy(update={"inputs": inputs})
