"""Workers check what they are given, and what they find flows on to the next."""

import json
import time
from typing import Any

import pytest

from agents.agent import CannotBeDone, Work
from tests.agents.carrying import WORKERS, work


async def do(agent: str, action: str, params: Any = None, **inputs: Any) -> Any:
    return await WORKERS[agent].carries(action)(work(action, params, **inputs))


async def asked(kind: str = "brake", evidence: Any = (), **facts: Any) -> Any:
    params = {"kind": kind, "facts": facts, "evidence": list(evidence), "title": "A thing"}
    return await do("META", "extract_requirements", params)


@pytest.mark.parametrize("agent", ["META", "CAD", "SIM", "COMP", "SUPP"])
async def test_no_worker_accepts_work_without_what_it_needs(agent: str) -> None:
    for action in WORKERS[agent].actions:
        if action == "scope_compliance":  # no standard is an answer as well
            continue
        with pytest.raises(CannotBeDone) as refusal:
            await do(agent, action)
        assert len(str(refusal.value)) > 20


@pytest.mark.parametrize("agent", ["META", "CAD", "SIM", "COMP", "SUPP", "NOOP"])
def test_no_worker_takes_an_action_it_does_not_know(agent: str) -> None:
    with pytest.raises(CannotBeDone, match="cannot dance"):
        WORKERS[agent].carries("dance")


async def test_assumed_facts_are_named() -> None:
    found = await asked(vehicle_mass_kg=1234)
    assert found["facts"]["vehicle_mass_kg"] == 1234
    assert "vehicle_mass_kg" not in found["assumed"]
    assert "wheel_radius_m" in found["assumed"]


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (
            {"vehicle_mass_kg": -5},
            "vehicle_mass_kg = -5 is not plausible; it goes from 200 to 5000",
        ),
        ({"vehicle_mass_kg": "heavy"}, "vehicle_mass_kg"),
        ({"weight": 5}, "nothing is known about these facts of a brake"),
    ],
)
async def test_implausible_facts_are_refused_with_the_reason(facts: Any, why: str) -> None:
    with pytest.raises(CannotBeDone, match=why):
        await asked(**facts)


async def test_only_requirements_that_somebody_shows_are_asked() -> None:
    found = await asked(evidence=["stress"])
    assert [target["metric"] for target in found["targets"]] == ["least_safety_factor"]


async def test_facts_of_another_kind_of_goal_are_refused() -> None:
    with pytest.raises(CannotBeDone, match="'facts' of the input 'requirements' cannot be used"):
        await do("CAD", "size_hydraulics", requirements=await asked("software"))


async def test_a_weak_draft_is_strengthened_until_the_final_analysis_agrees() -> None:
    requirements = await asked(peak_pressure_pa=16e6)
    hydraulics = await do("CAD", "size_hydraulics", requirements=requirements)
    given = {"requirements": requirements, "hydraulics": hydraulics}
    given["material"] = await do("CAD", "select_material", requirements=requirements)
    concept = await do("CAD", "draft_housing", **given)
    screening = await do("SIM", "screen_stress", concept=concept, **given)
    assert screening["is_strong_enough"] is False
    review = await do("CAD", "review_design", concept=concept, screening=screening)
    assert review["is_accepted"] is False
    design = await do("CAD", "refine_housing", concept=concept, **given)
    assert design["bridge_thickness_m"] > concept["bridge_thickness_m"]
    assert design["mass_kg"] > concept["mass_kg"]
    stress = await do("SIM", "analyse_stress", design=design, **given)
    assert stress["least_safety_factor"] >= 1.5
    assert stress["is_strong_enough"] is True


async def test_lightening_keeps_the_safety_factor() -> None:
    requirements = await asked(peak_pressure_pa=8e6)
    hydraulics = await do("CAD", "size_hydraulics", requirements=requirements)
    given = {"requirements": requirements, "hydraulics": hydraulics}
    given["material"] = await do("CAD", "select_material", requirements=requirements)
    refined = await do("CAD", "refine_housing", **given)
    design = await do("CAD", "lighten_housing", refined=refined, **given)
    assert design["mass_kg"] < refined["mass_kg"]
    stress = await do("SIM", "analyse_stress", design=design, **given)
    assert 1.5 <= stress["least_safety_factor"] < 1.65


async def test_a_load_that_nothing_bears_is_refused() -> None:
    requirements = await asked(
        "structure", tip_load_n=1e5, arm_length_m=20, minimum_safety_factor=6
    )
    material = await do("CAD", "select_material", requirements=requirements)
    with pytest.raises(CannotBeDone, match="thicken the wall or check the facts"):
        await do("CAD", "refine_tube", requirements=requirements, material=material)


async def test_the_price_decides_the_material_when_it_weighs_most() -> None:
    requirements = await asked()
    cheap = await do(
        "CAD", "select_material", {"weights": {"price": 100}}, requirements=requirements
    )
    # 7100 kg/m³ * 2.1 = 14 910 a cubic metre; 2680 * 5.4 = 14 472: aluminium, by a little
    assert cheap["name"] == "EN-AC-42100-T6"
    with pytest.raises(CannotBeDone, match="positive"):
        await do("CAD", "select_material", {"weights": {"price": -1}}, requirements=requirements)


async def test_a_missed_requirement_holds_the_release() -> None:
    requirements = await asked(evidence=["stress", "bom"])
    matrix = await do(
        "META",
        "compliance_matrix",
        requirements=requirements,
        stress={"least_safety_factor": 1.2},
        bom={"unit_cost": 99.0},
    )
    assert [(row["metric"], row["met"]) for row in matrix["rows"]] == [
        ("least_safety_factor", False),
        ("unit_cost", True),
    ]
    decided = await do("META", "decide_release", compliance_matrix=matrix)
    assert decided["decision"] == "hold"
    assert decided["conditions"] == ["1 requirements are not met"]


async def test_an_open_clause_is_a_condition_of_the_release() -> None:
    audit = await do("META", "audit", {"standard": "ISO 26262"}, requirements=await asked())
    assert (audit["shown"], audit["asked_for"]) == (1, 4)
    matrix = {"met": 1, "not_met": 0, "without_evidence": 0}
    decided = await WORKERS["META"].carries("decide_release")(
        Work(
            run_id="exec_test",
            task_id="task_001",
            epoch=1,
            name="Decide",
            action="decide_release",
            params={},
            inputs={"compliance-matrix": matrix, "audit:iso-26262": audit},
        )
    )
    assert decided["decision"] == "release with conditions"
    assert decided["conditions"] == ["3 open clauses of ISO 26262"]


async def test_a_bill_follows_its_quantities() -> None:
    requirements = await asked(piston_count=4, units_per_year=10_000)
    draft = await do("COMP", "draft_bom", requirements=requirements)
    quantities = {line["part"]: line["quantity"] for line in draft["lines"]}
    assert quantities["piston"] == quantities["piston seal"] == 4
    decided = await do("COMP", "decide_make_or_buy", requirements=requirements, bom_draft=draft)
    bom = await do("COMP", "cost_bom", bom_draft=draft, make_or_buy=decided)
    costs = {each["part"]: each["unit_cost"] for each in decided["decisions"]}
    # pistons: 9000 / 40 000 + 3.8 = 4.025 each, below 6.2
    assert costs["piston"] == pytest.approx(4.025)
    assert bom["unit_cost"] == pytest.approx(
        sum(costs[part] * count for part, count in quantities.items()), rel=1e-5
    )


async def test_suppliers_without_the_certificate_are_left_out() -> None:
    draft = await do("COMP", "draft_bom", requirements=await asked())
    strict = await do("SUPP", "screen_suppliers", {"certificates": ["IATF 16949"]}, bom_draft=draft)
    free = await do("SUPP", "screen_suppliers", {"max_risk": 1}, bom_draft=draft)
    assert "Pacific Foundry" in free["by_category"]["casting"]
    assert "Pacific Foundry" not in strict["by_category"]["casting"]


async def test_an_order_that_cannot_come_in_time_is_named() -> None:
    award = {"part": "piston", "supplier": "Nordguss", "share": 1.0, "unit_price": 6.0}
    suppliers = {"awards": [award | {"lead_days": 20.0}]}
    found = await do("SUPP", "schedule_orders", {"need_day": 10}, suppliers=suppliers)
    assert found["late"] == ["piston"]
    assert found["earliest_possible_day"] == 22
    with pytest.raises(CannotBeDone, match="no supplier Nobody"):
        await do(
            "SUPP",
            "schedule_orders",
            suppliers={"awards": [award | {"supplier": "Nobody", "lead_days": 1.0}]},
        )


async def test_progress_is_told_from_nothing_to_all() -> None:
    told: list[float] = []
    requirements = await asked()
    hydraulics = await do("CAD", "size_hydraulics", requirements=requirements)
    inputs = {
        "requirements": requirements,
        "rotor": await do("CAD", "design_rotor", requirements=requirements),
        "braking": await do(
            "SIM", "simulate_braking", requirements=requirements, hydraulics=hydraulics
        ),
    }
    await WORKERS["SIM"].carries("simulate_rotor")(
        Work(
            run_id="exec_test",
            task_id="task_001",
            epoch=1,
            name="Simulate",
            action="simulate_rotor",
            params={},
            inputs=inputs,
            progress=told.append,
        )
    )
    assert len(told) > 3
    assert told == sorted(told)
    assert all(0 <= fraction <= 1 for fraction in told)


async def test_every_result_is_json_with_a_summary_for_people() -> None:
    found = await asked()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["summary"] == "0 measurable requirements; 0 facts given, 25 assumed"


async def test_nothing_is_done_by_noop_and_time_passes_in_wait() -> None:
    assert await do("NOOP", "noop") == {}
    begun = time.monotonic()
    assert await do("NOOP", "wait", {"seconds": 0.05, "of": "x"}) == {"seconds": 0.05, "of": "x"}
    assert time.monotonic() - begun >= 0.049
    with pytest.raises(CannotBeDone, match="seconds = 61"):
        await do("NOOP", "wait", {"seconds": 61})
    with pytest.raises(CannotBeDone, match="2048 bytes"):
        await do("NOOP", "wait", {"text": "x" * 3000})
