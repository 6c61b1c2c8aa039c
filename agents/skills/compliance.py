"""Standards, evidence and the decision to release: the same for goals of every kind."""

from dataclasses import dataclass

from agents.agent import CannotBeDone, Work
from agents.catalogue.shelf import standard
from agents.engineering.verdicts import judge
from agents.reading import read, result, shaped
from agents.skills.asked import asked, missing_of
from domain.values import JsonObject

MOST_STANDARDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a compliance matrix says of all requirements together."""

    met: int
    not_met: int
    without_evidence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What an audit says of one standard."""

    standard: str
    shown: int
    asked_for: int


async def scope_compliance(work: Work) -> JsonObject:
    """Find out what each standard that applies asks for."""
    names = shaped(work.params.get("standards", []), tuple[str, ...], where="the standards")
    if len(names) > MOST_STANDARDS:
        raise CannotBeDone(f"{len(names)} standards are named; at most {MOST_STANDARDS} are taken")
    found = [(name, standard(name)) for name in names]
    unknown = [name for name, entry in found if entry.name == "*"]
    clauses = sum(len(entry.clauses) for _, entry in found)
    return result(
        f"{len(names)} standards apply, with {clauses} clauses; {len(unknown)} are unknown",
        {
            "standards": [
                {"name": name, "title": entry.title, "clauses": len(entry.clauses)}
                for name, entry in found
            ],
            "clauses": clauses,
            "not_in_catalogue": unknown,
        },
    )


async def checklist(work: Work) -> JsonObject:
    """List a standard's clauses with the evidence that each will need."""
    name = shaped(work.params.get("standard"), str, where="the standard")
    entry = standard(name)
    targets = asked(work).targets
    return result(
        f"{name}: {len(entry.clauses)} clauses to show",
        {
            "standard": name,
            "title": entry.title,
            "clauses": [
                {
                    "id": clause.id,
                    "asks": clause.asks,
                    "evidence": clause.evidence,
                    "requirements": [t.id for t in targets if t.evidence == clause.evidence],
                }
                for clause in entry.clauses
            ],
        },
    )


async def compliance_matrix(work: Work) -> JsonObject:
    """Judge every requirement by the number in its evidence."""
    verdicts = [judge(target, work.inputs) for target in asked(work).targets]
    judged = Judged(
        met=sum(verdict.met is True for verdict in verdicts),
        not_met=sum(verdict.met is False for verdict in verdicts),
        without_evidence=sum(verdict.met is None for verdict in verdicts),
    )
    return result(
        f"{judged.met} of {len(verdicts)} requirements are met, {judged.not_met} are not,"
        f" {judged.without_evidence} lack evidence",
        judged,
        {
            "rows": [
                {
                    "id": verdict.id,
                    "metric": verdict.metric,
                    "asked": f"{verdict.comparator} {verdict.limit:g}",
                    "value": verdict.value,
                    "met": verdict.met,
                    "evidence": verdict.evidence,
                }
                for verdict in verdicts
            ]
        },
    )


async def audit(work: Work) -> JsonObject:
    """Say which clauses of a standard are shown by the artefacts that are there."""
    name = shaped(work.params.get("standard"), str, where="the standard")
    clauses = standard(name).clauses
    open_clauses = [
        {"id": clause.id, "asks": clause.asks, "lacks": clause.evidence}
        for clause in clauses
        if clause.evidence not in work.inputs
    ]
    shown = len(clauses) - len(open_clauses)
    return result(
        f"{name}: {shown} of {len(clauses)} clauses are shown",
        Audited(standard=name, shown=shown, asked_for=len(clauses)),
        {"coverage": shown / len(clauses), "open": open_clauses},
    )


async def decide_release(work: Work) -> JsonObject:
    """Release, release with conditions, or hold; every condition is named."""
    judged = read(work, "compliance-matrix", Judged)
    conditions: list[str] = []
    if judged.without_evidence:
        conditions.append(f"evidence for {judged.without_evidence} requirements")
    for name in sorted(work.inputs):
        if name.startswith("audit:"):
            audited = read(work, name, Audited)
            if audited.shown < audited.asked_for:
                conditions.append(
                    f"{audited.asked_for - audited.shown} open clauses of {audited.standard}"
                )
    if work.inputs.get("budget", {}).get("is_within_budget") is False:
        conditions.append("the budget is exceeded")
    if work.inputs.get("validation", {}).get("is_valid") is False:
        conditions.append("the validation failed")
    conditions += [f"{name} is not shown" for name in missing_of(work)]
    if judged.not_met:
        decision = "hold"
        conditions.insert(0, f"{judged.not_met} requirements are not met")
    else:
        decision = "release with conditions" if conditions else "release"
    because = "; ".join(conditions) or f"all {judged.met} requirements are met"
    return result(
        f"{decision.capitalize()}: {because}", {"decision": decision, "conditions": conditions}
    )
