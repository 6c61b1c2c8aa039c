"""Insulated cups and sizes of studies: the sums stand beside the results."""

from dataclasses import replace
from math import exp

import pytest

from agents.engineering.insulation import Cup, Drink, cooled, loss_w_k, simulated
from agents.engineering.sampling import (
    Question,
    corrected,
    enrolled,
    per_group,
    power,
    simulated_power,
    student_quantile,
    weeks_to_recruit,
)

CUP = Cup(length_m=0.18, outer_diameter_m=0.09, wall_thickness_m=0.001, insulation_m=0.01)
DRINK = Drink(
    start_temperature_c=90,
    ambient_temperature_c=20,
    hold_hours=2,
    insulation_conductivity_w_mk=0.026,
)
QUESTION = Question(
    effect_size=0.5, significance=0.05, minimum_power=0.8, dropout=0.2, recruits_per_week=12
)


def test_a_cup_loses_heat_through_resistances_in_series() -> None:
    # d = 0.09 - 0.004 - 0.02 = 0.066 m, l = 0.18 - 0.02 - 0.004 = 0.156 m, V = 5.3371e-4 m³
    # A = π 0.078 0.156 + π/2 0.078² = 0.047784 m²
    # R = 1/200 + 0.002/0.2 + 0.01/0.026 + 1/8 = 0.524615 m²K/W, UA = 0.0910839 W/K
    assert CUP.volume_m3 == pytest.approx(5.3371e-4, rel=1e-4)
    assert CUP.area_m2 == pytest.approx(0.047784, rel=1e-4)
    assert loss_w_k(CUP, DRINK, wall_w_mk=0.2) == pytest.approx(0.0910839, rel=1e-4)
    # 20 + 70 exp(-0.0910839 * 7200 / (5.3371e-4 * 4.18e6))
    expected = 20 + 70 * exp(-0.0910839 * 7200 / (5.3371e-4 * 4.18e6))
    found = cooled(CUP, DRINK, wall_w_mk=0.2)
    assert found.final_temperature_c == pytest.approx(expected, abs=0.01)
    assert found.hottest_outside_c == pytest.approx(20 + 70 / 0.524615 / 8, abs=0.01)


def test_the_simulation_takes_a_little_more_heat_than_the_formula_for_the_foam() -> None:
    lump = cooled(CUP, DRINK, wall_w_mk=0.2).final_temperature_c
    fine = simulated(CUP, DRINK, wall_w_mk=0.2, layers=16).final_temperature_c
    assert 0 < lump - fine < 1


def test_finer_grids_come_together() -> None:
    coarse, medium, fine = (
        simulated(CUP, DRINK, wall_w_mk=0.2, layers=layers).final_temperature_c
        for layers in (4, 8, 16)
    )
    assert abs(fine - medium) < abs(medium - coarse) < 0.2


def test_thicker_insulation_keeps_hotter() -> None:
    thicker = replace(CUP, insulation_m=0.015, outer_diameter_m=0.1, length_m=0.19)
    assert (
        simulated(thicker, DRINK, wall_w_mk=0.2, layers=8).final_temperature_c
        > simulated(CUP, DRINK, wall_w_mk=0.2, layers=8).final_temperature_c
    )


def test_a_study_of_a_medium_effect_needs_the_groups_of_cohens_table() -> None:
    # 2 ((1.95996 + 0.84162) / 0.5)² = 62.79; Cohen's table 2.4.1 has 64 for d = 0.5, power 0.8
    assert (per_group(QUESTION), corrected(QUESTION)) == (63, 64)
    assert enrolled(64, dropout=0.2) == 160
    assert power(63, QUESTION) == pytest.approx(0.8013, abs=0.001)


def test_the_simulated_power_is_that_of_the_t_test() -> None:
    # Cohen: n = 64 a group, d = 0.5, two-sided 0.05: power 0.80
    assert simulated_power(64, QUESTION, rounds=20_000, seed=1) == pytest.approx(0.80, abs=0.01)


@pytest.mark.parametrize(("freedom", "expected"), [(10, 2.2281), (30, 2.0423), (126, 1.9790)])
def test_quantiles_of_students_t_are_those_of_the_tables(freedom: int, expected: float) -> None:
    assert student_quantile(0.975, freedom=freedom) == pytest.approx(expected, abs=0.0005)


def test_recruitment_takes_longer_than_on_average_to_be_sure() -> None:
    # (128 + 0.84162 √128) / 12 = 11.460
    assert weeks_to_recruit(128, per_week=12) == pytest.approx(11.460, abs=0.001)
