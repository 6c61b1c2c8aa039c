"""Requirements, risks, estimates and money: the same for goals of every kind."""

import re
from dataclasses import asdict, dataclass
from typing import cast

from agents.agent import CannotBeDone, Work
from agents.catalogue.shelf import Kind, kind, kinds
from agents.engineering.estimates import ThreePoint, total
from agents.engineering.risk import assess, residual
from agents.engineering.verdicts import Target
from agents.reading import number, read, result, shaped
from agents.skills.asked import Asked, asked
from domain.values import JsonObject

WISHES = 8
_WISH = re.compile(r"[^.;\n]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A risk as the register reports it."""

    name: str
    score: float
    level: str
    owner: str
    mitigation: str


async def extract_requirements(work: Work) -> JsonObject:
    """Turn the goal's text, facts and constraints into measurable requirements.

    A fact that nobody gave is assumed from the catalogue, and named as assumed.
    """
    form = _form(work)
    given = shaped(work.params.get("facts", {}), dict[str, float], where="the facts")
    evidence = shaped(work.params.get("evidence", []), set[str], where="the evidence")
    facts = _facts(form, given)
    targets = tuple(
        Target(
            id=f"REQ-{count:02}",
            text=target.text,
            metric=target.metric,
            comparator=target.comparator,
            limit=facts[target.limit],
            evidence=target.evidence,
            source=target.source,
        )
        for count, target in enumerate((t for t in form.targets if t.evidence in evidence), 1)
    )
    assumed = sorted(set(facts) - set(given))
    text = f"{work.params.get('title', '')}. {work.params.get('description', '')}"
    wishes = [wish.strip()[:160] for wish in _WISH.findall(text) if wish.strip()][:WISHES]
    due, budget = work.params.get("due_days"), work.params.get("budget")
    what = Asked(
        kind=form.name,
        facts=facts,
        targets=targets,
        standards=shaped(work.params.get("standards", []), tuple[str, ...], where="the standards"),
        due_days=None if due is None else number(work.params, "due_days", low=0.01, high=36500),
        budget=None if budget is None else number(work.params, "budget", low=0, high=1e15),
    )
    return result(
        f"{len(targets)} measurable requirements; {len(given)} facts given, {len(assumed)} assumed",
        what,
        {"wishes": wishes, "assumed": assumed},
    )


def _form(work: Work) -> Kind:
    name = work.params.get("kind")
    form = next((form for form in kinds() if form.name == name), None)
    if form is None:
        raise CannotBeDone(f"{name!r} is no kind of goal; there are {[k.name for k in kinds()]}")
    return form


def _facts(form: Kind, given: dict[str, float]) -> dict[str, float]:
    known = {fact.name: fact for fact in form.facts}
    if strange := sorted(set(given) - set(known)):
        raise CannotBeDone(f"nothing is known about these facts of a {form.name}: {strange}")
    return {
        name: number(
            cast(JsonObject, given), name, low=fact.low, high=fact.high, default=fact.default
        )
        for name, fact in known.items()
    }


async def assess_risks(work: Work) -> JsonObject:
    """Score the risks that goals of this kind have, under the pressure of this one."""
    pressure = number(work.params, "pressure", low=0.5, high=3, default=1)
    risks = sorted(
        (assess(form, pressure=pressure) for form in kind(asked(work).kind).risks),
        key=lambda risk: (-risk.score, risk.name),
    )
    return result(
        f"{len(risks)} risks, {sum(risk.level == 'high' for risk in risks)} of them high;"
        f" the worst: {risks[0].name}",
        {
            "risks": [asdict(risk) for risk in risks],
            "total_score": sum(risk.score for risk in risks),
        },
    )


async def plan_mitigation(work: Work) -> JsonObject:
    """Order the mitigations by what they are worth, and say what remains."""
    risks = read(work, "risks", tuple[Registered, ...], part="risks")
    before = sum(risk.score for risk in risks)
    worth = [risk for risk in risks if risk.level != "low"]
    after = before - sum(risk.score - residual(risk.score) for risk in worth)
    return result(
        f"{len(worth)} mitigations bring the risk from {before:.2f} to {after:.2f}",
        {
            "mitigations": [
                {"risk": risk.name, "does": risk.mitigation, "owner": risk.owner}
                for risk in sorted(worth, key=lambda risk: (-risk.score, risk.name))
            ],
            "score_before": before,
            "score_after": after,
        },
    )


async def estimate_effort(work: Work) -> JsonObject:
    """Add up three-point estimates (PERT)."""
    estimates = shaped(work.params.get("estimates"), dict[str, ThreePoint], where="the estimates")
    if not estimates:
        raise CannotBeDone("there is nothing to estimate; give at least one three-point estimate")
    for name, each in estimates.items():
        if not 0 <= each.optimistic <= each.likely <= each.pessimistic:
            raise CannotBeDone(f"the estimate of {name} does not grow from optimistic on")
    rate = number(work.params, "hourly_rate", low=0, high=10_000, default=95)
    whole = total(list(estimates.values()))
    return result(
        f"{whole.expected:.0f} ± {whole.deviation:.0f} hours cost {whole.expected * rate:,.0f}",
        {
            "expected_hours": whole.expected,
            "deviation_hours": whole.deviation,
            "p80_hours": whole.p80,
            "labour_cost": whole.expected * rate,
            "by_domain_hours": {name: each.expected for name, each in estimates.items()},
        },
    )


async def roll_up_budget(work: Work) -> JsonObject:
    """Add labour and what has to be bought for a trial lot, and compare with the budget."""
    labour = number(work.inputs.get("estimate", {}), "labour_cost", low=0, high=1e12)
    parts = number(work.inputs.get("bom", {}), "unit_cost", low=0, high=1e12, default=0)
    lot = int(number(work.params, "lot", low=1, high=100_000, default=10))
    budget = asked(work).budget
    whole = labour + parts * lot
    is_within = None if budget is None else whole <= budget
    verdict = "no budget is set"
    if budget is not None:
        verdict = f"{'within' if is_within else 'above'} the budget of {budget:,.0f}"
    return result(
        f"Labour {labour:,.0f}, {lot} sets {parts * lot:,.0f}: {whole:,.0f}, {verdict}",
        {
            "labour_cost": labour,
            "parts_cost": parts * lot,
            "total_cost": whole,
            "budget": budget,
            "is_within_budget": is_within,
        },
    )
