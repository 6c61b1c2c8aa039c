"""The CAD planner: iterations, design for X, and concurrent engineering where time is short."""

from dataclasses import dataclass

from agents.agent import Agent, Work
from agents.planners import other_ways
from agents.planners.alternatives import answer_of, propose
from agents.planners.earlier import Earlier, earlier_of
from agents.planners.proposals import Draft
from agents.planners.scope import Scope, scope_of
from domain.values import JsonObject

ITERATIVE = "iterative design"
DESIGN_FOR_X = "design-for-X"
CONCURRENT = "concurrent engineering"


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The actions that draft, refine and lighten a design of one kind, and what they build on."""

    draft: str
    refine: str
    lighten: str | None
    thing: str
    inputs: tuple[str, ...] = ()


STEPS: dict[str, Steps] = {
    "brake": Steps(
        draft="draft_housing",
        refine="refine_housing",
        lighten="lighten_housing",
        thing="caliper housing",
        inputs=("hydraulics",),
    ),
    "structure": Steps(
        draft="draft_tube", refine="refine_tube", lighten="lighten_tube", thing="structure"
    ),
    "vessel": Steps(draft="draft_cup", refine="refine_cup", lighten="lighten_cup", thing="cup"),
    "study": Steps(draft="draft_study", refine="refine_study", lighten=None, thing="study"),
    "software": Steps(
        draft="draft_capacity", refine="refine_capacity", lighten=None, thing="service"
    ),
}


async def plan(work: Work) -> JsonObject:
    """Plan the design, as often revised as there is time."""
    scope = scope_of(work)
    draft = Draft(domain="CAD")
    if scope.kind.is_hardware:
        _choose_material(draft, scope)
    else:
        _choose_concept(draft, scope)
    if scope.kind.name == "brake":
        _lay_out_brake(draft)
    if scope.kind.name == "general":
        draft.add(
            "design",
            "Lay out the work in packages",
            "outline_work",
            hours=8,
            rule=ITERATIVE,
            needs=["requirements"],
            after=["concept-choice"],
        )
    else:
        _iterate(draft, scope, STEPS[scope.kind.name])
    _finish(draft, scope, _checklists(draft, earlier_of(work)))
    return draft.written()


def _checklists(draft: Draft, earlier: Earlier) -> list[str]:
    """Return the checklists that META plans: what they ask for is known before the release."""
    meta = earlier.plans.get("META")
    found = [task.key for task in meta.tasks if task.action == "checklist"] if meta else []
    if found:
        draft.notes.append(f"META plans {len(found)} checklists: the release waits for them.")
    return found


def _choose_material(draft: Draft, scope: Scope) -> None:
    # Where money is short, design for cost: the price weighs as much as all else.
    weights: JsonObject = {"price": 0.7} if scope.is_cheap else {}
    qualities = "cost" if scope.is_cheap else "strength, heat and cost"
    if scope.kind.name == "vessel":
        weights["conduction"] = 0.0  # what insulates does not have to conduct
        qualities = "cost" if scope.is_cheap else "strength and cost"
    draft.add(
        "material",
        "Choose the material",
        "select_material",
        hours=8,
        rule=f"{DESIGN_FOR_X}: {qualities}",
        needs=["requirements"],
        params={"weights": weights},
    )


def _choose_concept(draft: Draft, scope: Scope) -> None:
    weights: JsonObject = {"simplicity": 2.0} if scope.is_tight or scope.is_cheap else {}
    draft.add(
        "concept-choice",
        "Choose the concept",
        "choose_concept",
        hours=8,
        rule=f"{DESIGN_FOR_X}: {'simplicity' if weights else 'balance'}",
        needs=["requirements"],
        params={"weights": weights},
    )


def _lay_out_brake(draft: Draft) -> None:
    draft.add(
        "hydraulics",
        "Size pistons and clamp force",
        "size_hydraulics",
        hours=12,
        rule=CONCURRENT,
        needs=["requirements"],
    )
    draft.add(
        "rotor",
        "Lay out the rotor",
        "design_rotor",
        hours=10,
        rule=CONCURRENT,
        needs=["requirements"],
    )


def _iterate(draft: Draft, scope: Scope, steps: Steps) -> None:
    given = ["requirements", *steps.inputs]
    material = ["material"] if scope.kind.is_hardware else []
    choice = [] if scope.kind.is_hardware else ["concept-choice"]
    if scope.iterations == 1:
        draft.notes.append("Little time: one design pass that sizes itself, no screening between.")
        draft.add(
            "design",
            f"Design the {steps.thing} in one pass",
            steps.refine,
            hours=24,
            rule=f"{ITERATIVE}: one pass",
            needs=[*given, *material],
            after=choice,
        )
        return
    rounds = scope.iterations if steps.lighten else 2
    if scope.is_concurrent and material:
        draft.notes.append("Concurrent: the first draft assumes a material while it is chosen.")
    draft.add(
        "concept",
        "Initial CAD design" if scope.kind.is_hardware else f"Initial design of the {steps.thing}",
        steps.draft,
        hours=24,
        rule=CONCURRENT if scope.is_concurrent else f"{ITERATIVE}: 1 of {rounds}",
        needs=[*given, *([] if scope.is_concurrent else material)],
        after=[] if scope.is_concurrent else choice,
    )
    screening = ["screening"] if "SIM" in scope.domains else []
    draft.add(
        "design-review",
        "Design review of the first draft",
        "review_design",
        hours=6,
        rule=ITERATIVE,
        needs=["concept", *screening],
    )
    draft.add(
        "design" if rounds == 2 else "refined",
        f"Design iteration 2: strengthen the {steps.thing}",
        steps.refine,
        hours=32,
        rule=f"{ITERATIVE}: 2 of {rounds}",
        needs=[*given, *material, "concept", "design-review"],
    )
    if rounds == 3 and steps.lighten:
        draft.add(
            "design",
            f"Design iteration 3: lighten the {steps.thing}",
            steps.lighten,
            hours=24,
            rule=f"{ITERATIVE}: 3 of {rounds}",
            needs=[*given, *material, "refined"],
        )


def _finish(draft: Draft, scope: Scope, checklists: list[str]) -> None:
    checks = checklists
    if scope.kind.is_hardware:
        draft.add(
            "manufacturability",
            "Design for manufacture",
            "check_manufacture",
            hours=8,
            rule=f"{DESIGN_FOR_X}: manufacture",
            needs=["requirements", "design", "material"],
        )
        draft.add(
            "tolerances",
            "Tolerance stack",
            "stack_tolerances",
            hours=8,
            rule=f"{DESIGN_FOR_X}: manufacture",
            needs=["design"],
        )
        checks += ["manufacturability", "tolerances"]
        if "COMP" in scope.domains:
            draft.add(
                "assembly",
                "Design for assembly",
                "check_assembly",
                hours=8,
                rule=f"{DESIGN_FOR_X}: assembly",
                needs=["requirements", "bom-draft"],
            )
            checks.append("assembly")
    draft.add(
        "design-release",
        "Release the design",
        "release_design",
        hours=8,
        rule=ITERATIVE,
        needs=["design", *checks, *scope.offered("validation")],
        deliverable=True,
    )


async def replan(work: Work) -> JsonObject:
    """Propose other designs, in a stronger material or in fewer passes, for what cannot be done."""
    answer = answer_of(work, "CAD")
    other_ways.strengthen(answer)
    propose(answer, other_ways.CAD, without=other_ways.NAMED_OPEN["CAD"])
    return answer.written()


AGENT = Agent(
    type="CAD",
    role="planning",
    actions={"plan": plan, "replan": replan},
    capabilities=("planning", "design", "modeling", "validation"),
)
