"""Beams, queues, estimates, sourcing, risks, spans of time: the sums stand beside the results."""

import pytest

from agents.catalogue.shelf import RiskForm, kind, kinds, materials, standards, suppliers
from agents.engineering.beam import (
    Tube,
    deflection,
    integrated_deflection,
    natural_frequency,
    root_stress,
)
from agents.engineering.convergence import study
from agents.engineering.decisions import normalised, rank
from agents.engineering.estimates import ThreePoint, simulated_p80, total
from agents.engineering.procurement import (
    concentration,
    latest_order_day,
    make_or_buy,
    rated,
    safety_stock,
)
from agents.engineering.queueing import (
    Capacity,
    availability,
    mean_response,
    simulated_response,
    waiting_probability,
)
from agents.engineering.risk import assess, residual
from agents.engineering.times import hours_of
from agents.engineering.verdicts import Target, judge

TUBE = Tube(length_m=0.3, outer_diameter_m=0.02, wall_thickness_m=0.001)


def test_a_tube_bends_by_the_formula() -> None:
    # I = π/64 (0.02⁴ - 0.018⁴) = 2.70099e-9 m⁴
    # 40 * 0.3³ / (3 * 70e9 * 2.70099e-9) = 1.90405 mm; 40 * 0.3 * 0.01 / 2.70099e-9 = 44.4281 MPa
    assert TUBE.second_moment_m4 == pytest.approx(2.70099e-9, rel=1e-5)
    assert deflection(TUBE, load_n=40, youngs_modulus_pa=70e9) == pytest.approx(
        1.90405e-3, rel=1e-4
    )
    assert root_stress(TUBE, load_n=40) == pytest.approx(44.4281e6, rel=1e-4)


def test_integration_comes_closer_to_the_formula_with_the_square_of_the_cells() -> None:
    exact = deflection(TUBE, load_n=40, youngs_modulus_pa=70e9)
    values = [
        integrated_deflection(TUBE, load_n=40, youngs_modulus_pa=70e9, cells=cells)
        for cells in (8, 16, 32)
    ]
    found = study(*values)
    assert found.observed_order == pytest.approx(2, abs=0.01)
    assert found.extrapolated == pytest.approx(exact, rel=1e-6)


def test_the_first_frequency_of_a_tube_with_a_mass() -> None:
    # k = 3 * 70e9 * 2.70099e-9 / 0.027 = 21 007.7 N/m; m = 1600 * 5.96903e-5 * 0.3 = 0.0286513 kg
    # √(21 007.7 / (0.2 + 33/140 * 0.0286513)) / 2π = 50.73 Hz
    frequency = natural_frequency(TUBE, tip_mass_kg=0.2, density_kg_m3=1600, youngs_modulus_pa=70e9)
    assert frequency == pytest.approx(50.73, abs=0.01)


def test_three_grids_tell_order_and_limit() -> None:
    # 1 + h² with h = 4, 2, 1: 17, 5, 2; differences 12 and 3: order log2(4) = 2, limit 1
    found = study(17, 5, 2)
    assert (found.observed_order, found.extrapolated) == (2, 1)
    assert found.relative_uncertainty == pytest.approx(1.25 * 1 / 2)
    assert not study(1, 3, 2).is_monotonic
    assert study(2, 2, 2).relative_uncertainty == 0


def test_waiting_at_two_servers() -> None:
    # offered 1 at 2 servers: Erlang C = (1/2 * 2) / (1 + 1 + 1/2 * 2) = 1/3
    # response 1/3 * 1 / (2 * 0.5) + 1 = 4/3 s
    capacity = Capacity(servers=2, arrival_rate_per_s=1, service_time_s=1, utilization=0.5)
    assert waiting_probability(capacity) == pytest.approx(1 / 3)
    assert mean_response(capacity) == pytest.approx(4 / 3)
    assert simulated_response(capacity, requests=50_000, seed=1) == pytest.approx(4 / 3, rel=0.05)


def test_two_of_three_servers_have_to_stand() -> None:
    # 3 * 0.9² * 0.1 + 0.9³ = 0.243 + 0.729 = 0.972
    capacity = Capacity(servers=3, arrival_rate_per_s=15, service_time_s=0.1, utilization=0.5)
    assert availability(capacity, server_availability=0.9) == pytest.approx(0.972)


def test_three_point_estimates() -> None:
    # (2 + 4 * 4 + 12) / 6 = 5; (12 - 2) / 6 = 1.6667; of four: 20 and 3.3333; p80 = 22.805
    estimate = ThreePoint(optimistic=2, likely=4, pessimistic=12)
    whole = total([estimate] * 4)
    assert (estimate.expected, whole.expected) == (5, 20)
    assert whole.deviation == pytest.approx(10 / 3)
    assert whole.p80 == pytest.approx(22.805, abs=0.001)
    # a triangle's mean is (2 + 4 + 12) / 3 = 6, so draws lie above PERT's
    assert 24 < simulated_p80([estimate] * 4, rounds=4000, seed=1) < 30


def test_weights_decide_and_equals_go_by_name() -> None:
    scores = {"b": {"x": 1.0, "y": 0.0}, "a": {"x": 0.0, "y": 1.0}}
    assert [each.name for each in rank(scores, {"x": 3, "y": 1})] == ["b", "a"]
    assert [each.name for each in rank(scores, {"x": 1, "y": 1})] == ["a", "b"]
    assert rank(scores, {"x": 3, "y": 1})[0].score == 0.75
    assert normalised({"a": 2, "b": 4, "c": 3}, is_cost=True) == {"a": 1, "b": 0, "c": 0.5}


def test_make_from_the_break_even_quantity_on() -> None:
    bracket = next(part for part in kind("brake").parts if part.name == "caliper bracket")
    # 18 000 / (19 - 14) = 3600: 3600 / 3600 + … making costs 18 000 / 3600 + 14 = 19, as buying
    assert make_or_buy(bracket, sets=3600).break_even_quantity == pytest.approx(3600)
    assert make_or_buy(bracket, sets=3600).choice == "buy"
    assert make_or_buy(bracket, sets=4500).choice == "make"
    assert make_or_buy(bracket, sets=4500).unit_cost == pytest.approx(18)
    seal = next(part for part in kind("brake").parts if part.name == "piston seal")
    assert make_or_buy(seal, sets=10**6).break_even_quantity is None


def test_the_supplier_follows_the_weights() -> None:
    casters = [each for each in suppliers() if "casting" in each.categories]
    assert rated(casters, cost=1, lead=0, risk=0)[0].name == "Pacific Foundry"
    assert rated(casters, cost=0, lead=1, risk=1)[0].name == "Nordguss"


def test_orders_stock_and_concentration() -> None:
    assert latest_order_day(18, lead_days=12, buffer_days=3) == 3
    # 1.645 * √(16 * 4) = 13.16 → 14
    assert safety_stock(daily_demand=16, lead_days=4) == 14
    assert concentration([0.5, 0.5]) == 0.5


def test_risk_is_probability_times_impact() -> None:
    form = RiskForm(name="late", probability=0.4, impact=3, mitigation="hurry", owner="SUPP")
    assert assess(form).score == pytest.approx(1.2)
    assert assess(form).level == "high"
    assert assess(form, pressure=3).probability == 0.95
    assert residual(1.2) == pytest.approx(0.48)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("30 days", 720),
        ("2 weeks", 336),
        ("1.5 Months", 1095),
        ("about 1 day and 6 hours", 30),
        ("P30D", 720),
        ("P1DT6H", 30),
        ("soon", None),
        ("", None),
        ("P", None),
    ],
)
def test_spans_of_time_as_people_write_them(text: str, hours: float | None) -> None:
    assert hours_of(text) == hours


def test_a_requirement_without_evidence_is_neither_met_nor_not() -> None:
    target = Target(
        id="R",
        text="",
        metric="mass_kg",
        comparator="<=",
        limit=2,
        evidence="design",
        source="",
    )
    assert judge(target, {"design": {"mass_kg": 2}}).met is True
    assert judge(target, {"design": {"mass_kg": 2.1}}).met is False
    assert judge(target, {"design": {}}).met is None
    assert judge(target, {}).met is None


def test_the_shelf_fits_together() -> None:
    for form in kinds():
        names = {fact.name for fact in form.facts}
        assert {target.limit for target in form.targets} <= names
        assert {part.quantity_fact for part in form.parts} <= names | {""}
        assert all(fact.low <= fact.default <= fact.high for fact in form.facts)
        categories = {category for each in suppliers() for category in each.categories}
        assert {part.category for part in form.parts} <= categories
        assert not form.is_hardware or any(form.material_use in m.uses for m in materials())
    assert all(m.fatigue_pa < m.yield_pa <= m.ultimate_pa for m in materials())
    assert any(entry.name == "*" for entry in standards())
