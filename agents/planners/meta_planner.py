"""The meta planner: which domains a goal concerns, and one graph from what they propose."""

from collections import Counter
from typing import cast

from pydantic import JsonValue

from agents.agent import Agent, CannotBeDone, Work
from agents.optimizing.planning import scheduled
from agents.planners.estimating import estimated
from agents.planners.linking import Linked, link
from agents.planners.proposals import DomainPlan
from agents.planners.revising import revise
from agents.planners.scope import Scope, scope_of
from agents.planners.standing import against_goal
from agents.reading import result, shaped
from domain.errors import BadGraph
from domain.findings import GOAL, MOST_FINDINGS
from domain.scheduling.critical_path import CriticalPath, critical_path
from domain.values import JsonObject

TITLES = {
    "META": "requirements, risks and compliance",
    "CAD": "design",
    "SIM": "simulation and validation",
    "COMP": "components and bill of materials",
    "SUPP": "suppliers and orders",
}


async def decompose(work: Work) -> JsonObject:
    """Divide a goal into one sub-goal for each domain that it concerns."""
    scope = scope_of(work)
    return {
        "kind": scope.kind.name,
        "sub_goals": [
            {
                "domain": name,
                "title": f"{TITLES[name]} for {scope.goal.title}"[:200],
                "params": {"domains": list(scope.domains)},
            }
            for name in scope.domains
        ],
        "reasons": list(scope.reasons),
    }


async def synthesize(work: Work) -> JsonObject:
    """Link the domains' plans into one graph, and say how it stands to time and money."""
    scope = scope_of(work)
    plans = [
        shaped(plan, DomainPlan, where=f"the plan of {name}")
        for name, plan in sorted(work.inputs.items())
        if plan
    ]
    unheard = [name for name, plan in sorted(work.inputs.items()) if not plan]
    if not plans:
        raise CannotBeDone("there is no domain's plan to synthesize")
    try:
        linked = link(plans, one_at_a_time=scope.options.parallelization == "conservative")
    except BadGraph as error:
        raise CannotBeDone(f"the domains' plans do not fit together: {error}") from error
    linked.tasks = estimated(linked.tasks, scope.history)
    path = critical_path(linked.tasks)
    linked.conflicts += against_goal(linked, path.path, path.makespan / 3600, scope)
    linked.missing[:0] = [f"{name} has not answered; nothing of it is planned" for name in unheard]
    schedule = await scheduled(linked.tasks, scope.options)
    return {
        "tasks": [cast(JsonObject, task.model_dump(mode="json")) for task in linked.tasks],
        "schedule": cast(JsonObject, schedule.model_dump(mode="json")),
        "conflicts": _conflicts(linked),
        "missing": [*linked.missing[:MOST_FINDINGS]],
        "summary": _summary(linked, path, plans, scope),
    }


def _conflicts(linked: Linked) -> list[JsonValue]:
    return [each.model_dump(mode="json") for each in linked.conflicts[:MOST_FINDINGS]]


def _summary(
    linked: Linked, path: CriticalPath, plans: list[DomainPlan], scope: Scope
) -> JsonObject:
    hours = path.makespan / 3600
    warnings = [each.decision for each in linked.conflicts if each.origins[1].domain == GOAL]
    if scope.goal.constraints.timeline and scope.hours is None:
        warnings.append(f"nobody understands the timeline {scope.goal.constraints.timeline!r}")
    by_domain = Counter(task.agent for task in linked.tasks)
    return result(
        f"{len(linked.tasks)} tasks of {len(by_domain)} domains in {hours / 24:.1f} days",
        {
            "kind": scope.kind.name,
            "tasks": len(linked.tasks),
            "by_domain": dict(by_domain),
            "critical_path": path.path,
            "makespan_hours": hours,
            "parallelization_ratio": path.parallelization_ratio,
            "cost": sum(task.cost for task in linked.tasks),
            "estimates": dict(
                Counter(task.estimate.source for task in linked.tasks if task.estimate)
            ),
            "deliverables": [task.id for task in linked.tasks if task.deliverable],
            "missing": linked.missing[:MOST_FINDINGS],
            "conflicts": _conflicts(linked),
            "merged": linked.merged,
            "warnings": warnings,
            "notes": [f"{plan.domain}: {note}" for plan in plans for note in plan.notes],
        },
    )


AGENT = Agent(
    type="META_PLANNER",
    role="planning",
    actions={"decompose": decompose, "synthesize": synthesize, "revise": revise},
    capabilities=("planning", "decomposition", "synthesis"),
)
