"""The META planner: compliance first, risks in front, the bounds of a standard passed on to all."""

import re

from agents.agent import Agent, Work
from agents.catalogue.shelf import standard
from agents.planners import other_ways
from agents.planners.alternatives import answer_of, propose
from agents.planners.proposals import SOURCES, Bound, Draft
from agents.planners.scope import Scope, facts_of, scope_of
from domain.values import JsonObject

COMPLIANCE = "compliance-first"
RISK = "risk-based prioritisation"
PROPAGATION = "regulatory constraint propagation"
COORDINATION = "cross-domain coordination"

LIKELY_HOURS: dict[str, float] = {"META": 90, "CAD": 160, "SIM": 180, "COMP": 50, "SUPP": 50}


async def plan(work: Work) -> JsonObject:
    """Plan requirements, risks, compliance, budget and release."""
    scope = scope_of(work)
    draft = Draft(domain="META")
    standards = _slugs(scope.standards)
    # Compliance first: nobody starts before it is known what the standards ask.
    draft.add(
        "obligations",
        "Regulatory compliance check",
        "scope_compliance",
        hours=2,
        rule=COMPLIANCE,
        params={"standards": list(scope.standards)},
    )
    draft.add(
        "requirements",
        "Extract measurable requirements",
        "extract_requirements",
        hours=8,
        rule=PROPAGATION,
        needs=["obligations"],
        params=_asked(scope, draft),
    )
    for slug, name in standards.items():
        draft.add(
            f"checklist:{slug}",
            f"Checklist for {name}"[:200],
            "checklist",
            hours=6,
            rule=PROPAGATION,
            needs=["requirements"],
            params={"standard": name},
        )
    _plan_risks(draft, scope)
    draft.add(
        "estimate",
        "Estimate the effort of all domains",
        "estimate_effort",
        hours=4,
        rule=COORDINATION,
        after=["obligations"],
        params={"estimates": _estimates(scope)},
    )
    _plan_ending(draft, scope, standards)
    return draft.written()


def _plan_risks(draft: Draft, scope: Scope) -> None:
    pressure = 1.0 + 0.25 * scope.is_tight + 0.15 * scope.is_cheap
    draft.add(
        "risks",
        "Assess the risks",
        "assess_risks",
        hours=6,
        rule=RISK,
        needs=["requirements"],
        params={"pressure": pressure},
        # What is critical must not hang on one supplier, whatever that costs.
        bounds={SOURCES: Bound(low=2)} if scope.goal.priority == "critical" else {},
    )
    if scope.goal.priority == "low":
        draft.notes.append("Low priority: the risks are registered, but not mitigated.")
        return
    draft.add(
        "mitigations",
        "Plan the mitigation of the worst risks first",
        "plan_mitigation",
        hours=4,
        rule=RISK,
        needs=["risks"],
    )


def _plan_ending(draft: Draft, scope: Scope, standards: dict[str, str]) -> None:
    evidence = sorted({target.evidence for target in scope.kind.targets} & scope.artefacts)
    draft.add(
        "compliance-matrix",
        "Compliance matrix: requirements and their evidence",
        "compliance_matrix",
        hours=8,
        rule=COMPLIANCE,
        needs=["requirements", *evidence],
        deliverable=True,
    )
    for slug, name in standards.items():
        shown = {clause.evidence for clause in standard(name).clauses} & scope.artefacts
        draft.add(
            f"audit:{slug}",
            f"Audit against {name}"[:200],
            "audit",
            hours=16,
            rule=COMPLIANCE,
            needs=[f"checklist:{slug}", *sorted(shown | {"compliance-matrix"})],
            params={"standard": name},
        )
    draft.add(
        "budget",
        "Roll up labour and parts against the budget",
        "roll_up_budget",
        hours=4,
        rule=COORDINATION,
        needs=["requirements", "estimate", *scope.offered("bom")],
        params={"lot": 10 if scope.kind.is_hardware else 1},
    )
    draft.add(
        "release",
        "Decide the release",
        "decide_release",
        hours=4,
        rule=COMPLIANCE,
        needs=[
            "compliance-matrix",
            *(f"audit:{slug}" for slug in standards),
            "budget",
            *scope.offered("validation"),
        ],
        after=["mitigations"] if scope.goal.priority != "low" else [],
        deliverable=True,
    )


def _asked(scope: Scope, draft: Draft) -> JsonObject:
    facts, strange = facts_of(scope)
    if strange:
        draft.notes.append(
            f"No rule of a {scope.kind.name} uses these facts: {', '.join(sorted(strange))}"
        )
    return {
        "kind": scope.kind.name,
        "title": scope.goal.title,
        "description": scope.goal.description,
        "facts": facts,
        "evidence": [*sorted(scope.artefacts)],
        "standards": list(scope.standards),
        "budget": scope.goal.constraints.budget,
        "due_days": scope.hours / 24 if scope.hours else None,
    }


def _estimates(scope: Scope) -> JsonObject:
    share = 1.0 if scope.kind.is_hardware else 0.6
    return {
        name: {
            "optimistic": 0.7 * LIKELY_HOURS[name] * share,
            "likely": LIKELY_HOURS[name] * share,
            "pessimistic": (2.0 if scope.is_tight else 1.6) * LIKELY_HOURS[name] * share,
        }
        for name in scope.domains
    }


def _slugs(standards: tuple[str, ...]) -> dict[str, str]:
    slugs: dict[str, str] = {}
    for count, name in enumerate(standards, 1):
        slug = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:60] or f"standard-{count}"
        slugs.setdefault(slug, name)
    return slugs


async def replan(work: Work) -> JsonObject:
    """Propose how to go on without what cannot be done of META's work."""
    answer = answer_of(work, "META")
    propose(answer, {}, without=other_ways.NAMED_OPEN["META"])
    return answer.written()


AGENT = Agent(
    type="META",
    role="planning",
    actions={"plan": plan, "replan": replan},
    capabilities=("planning", "compliance", "risk"),
)
