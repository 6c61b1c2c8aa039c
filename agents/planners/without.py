"""Which inputs the shipped actions can do without, and how they are told that they have to."""

from collections.abc import Collection, Mapping

from domain.tasks import Task

NEEDED: Mapping[str, frozenset[str]] = {
    "compliance_matrix": frozenset({"requirements"}),
    "audit": frozenset(),
    "decide_release": frozenset({"compliance-matrix"}),
    "release_design": frozenset({"design"}),
    "review_design": frozenset({"concept"}),
    "draft_bom": frozenset({"requirements"}),
    "cost_bom": frozenset({"bom-draft", "make-or-buy"}),
    "freeze_bom": frozenset({"bom"}),
    "evaluate_acceptance": frozenset({"acceptance"}),
    "schedule_orders": frozenset({"suppliers"}),
    **{
        f"refine_{thing}": frozenset({"requirements", "material", "hydraulics", "concept"})
        for thing in ("housing", "tube", "cup", "capacity", "study")
    },
}
"""What an action that can do without some inputs does need; others need all they are given."""

TOLD = frozenset({"decide_release", "release_design", "freeze_bom"})
"""The actions that decide, and have to be told what was planned for them and is not there."""

WITHOUT = "without"
"""The parameter that tells them."""


def can_do_without(task: Task, need: str) -> bool:
    """Tell whether a task can be carried out when something it would use is left out."""
    names = {name for name, source in task.inputs.items() if source == need}
    if task.gather is not None:
        return len(task.inputs) > len(names)
    return not names or (
        task.action in NEEDED and not names & NEEDED[task.action] and len(task.inputs) > len(names)
    )


def freed_of(task: Task, dropped: Collection[str]) -> Task:
    """Return a task without edges to what is left out; it is told, where it decides something."""
    if not any(need in dropped for need in task.needs):
        return task
    lost = sorted(name for name, need in task.inputs.items() if need in dropped)
    update: dict[str, object] = {
        "depends_on": tuple(need for need in task.depends_on if need not in dropped),
        "inputs": {name: need for name, need in task.inputs.items() if need not in dropped},
    }
    if lost and task.action in TOLD:
        before = task.params.get(WITHOUT)
        known = [str(name) for name in before] if isinstance(before, list) else []
        update["params"] = task.params | {WITHOUT: sorted({*known, *lost})}
    return task.model_copy(update=update)
