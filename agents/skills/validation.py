"""Acceptance, fidelity and fatigue: the same for simulations of every kind."""

from dataclasses import asdict

from agents.agent import CannotBeDone, Work
from agents.engineering.stress import alternating, life_cycles
from agents.engineering.verdicts import Target, judge
from agents.reading import needed, number, read, result, shaped
from agents.skills.asked import Chosen, asked
from domain.values import JsonObject


async def define_acceptance(work: Work) -> JsonObject:
    """Take over the requirements that simulations have to show, before any simulation runs."""
    evidence = shaped(work.params.get("evidence", []), set[str], where="the evidence")
    targets = [target for target in asked(work).targets if target.evidence in evidence]
    return result(
        f"{len(targets)} acceptance tests: {', '.join(t.metric for t in targets) or 'none'}",
        {"targets": [asdict(target) for target in targets]},
    )


async def compare_fidelities(work: Work) -> JsonObject:
    """Say how far a cheap model is from a fine one."""
    cheap = _metric(work, "cheap")
    fine = _metric(work, "fine")
    difference = abs(cheap - fine) / abs(fine) if fine else abs(cheap)
    limit = number(work.params, "tolerance", low=0, high=10, default=0.25)
    return result(
        f"The cheap model says {cheap:.4g}, the fine one {fine:.4g}: {difference:.1%} apart",
        {
            "cheap": cheap,
            "fine": fine,
            "relative_difference": difference,
            "is_cheap_good_enough": difference <= limit,
        },
    )


async def estimate_fatigue(work: Work) -> JsonObject:
    """Estimate how many load cycles the largest stress is borne."""
    material = read(work, "material", Chosen)
    stress = number(needed(work, "stress"), "largest_stress_pa", low=0, high=1e12)
    amplitude = alternating(stress, ultimate_pa=material.ultimate_pa)
    life = life_cycles(amplitude, ultimate_pa=material.ultimate_pa, fatigue_pa=material.fatigue_pa)
    return result(
        f"{material.name} bears {amplitude / 1e6:.0f} MPa for {life:.3g} cycles",
        {"amplitude_pa": amplitude, "life_cycles": life},
    )


async def evaluate_acceptance(work: Work) -> JsonObject:
    """Judge the simulations by the acceptance tests that were set before them."""
    targets = read(work, "acceptance", tuple[Target, ...], part="targets")
    verdicts = [judge(target, work.inputs) for target in targets]
    failed = [verdict for verdict in verdicts if not verdict.met]
    unseen = [verdict.metric for verdict in verdicts if verdict.met is None]
    not_shown = f"; not shown: {', '.join(unseen)}" if unseen else ""
    return result(
        f"{len(verdicts) - len(failed)} of {len(verdicts)} acceptance tests passed{not_shown}",
        {
            "is_valid": not failed,
            "passed": len(verdicts) - len(failed),
            "failed": [
                {"metric": each.metric, "value": each.value, "limit": each.limit} for each in failed
            ],
            "not_shown": unseen,
        },
    )


def _metric(work: Work, which: str) -> float:
    named = shaped(work.params.get(which), tuple[str, str], where=f"the {which} model")
    artefact, metric = named
    value = needed(work, artefact).get(metric)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CannotBeDone(f"{artefact} has no number {metric}: it is {value!r}")
    return float(value)
