"""Numbers that a person can follow with a pocket calculator; each test writes the sums down."""

from dataclasses import replace
from math import pi

import pytest

from agents.engineering.brake import Housing, Hydraulics, Vehicle, size_hydraulics, stop
from agents.engineering.stress import (
    alternating,
    bridge_stress,
    housing_stress,
    life_cycles,
    thick_wall_stress,
    thin_wall_stress,
)
from agents.engineering.thermal import (
    Rotor,
    hot_friction,
    layered_rise,
    lumped_rise,
    repeated_rises,
    rotor_energy,
)

VEHICLE = Vehicle(
    vehicle_mass_kg=1500,
    speed_m_s=30,
    wheel_radius_m=0.3,
    front_brake_share=0.7,
    design_deceleration_m_s2=9,
    tyre_friction=1.0,
    line_pressure_pa=8e6,
    peak_pressure_pa=12e6,
    piston_count=2,
    pad_friction=0.4,
    effective_radius_m=0.12,
    rotor_outer_diameter_m=0.3,
    rotor_inner_diameter_m=0.17,
    rotor_thickness_m=0.028,
    pad_thickness_m=0.017,
    build_up_time_s=0.2,
    ambient_temperature_c=20,
    repeated_stops=10,
    brake_applications=500_000,
    minimum_safety_factor=1.5,
)
HOUSING = Housing(
    piston_count=2,
    piston_diameter_m=0.04,
    wall_thickness_m=0.005,
    cylinder_length_m=0.036,
    base_thickness_m=0.008,
    bridge_width_m=0.1,
    bridge_thickness_m=0.02,
    bridge_length_m=0.066,
    finger_thickness_m=0.02,
)


def test_pistons_give_the_design_deceleration() -> None:
    # T = 1500 * 9 * 0.7 * 0.3 / 2 = 1417.5 Nm; F = 1417.5 / (2 * 0.4 * 0.12) = 14 765.6 N
    # A = 14 765.6 / (8e6 * 0.98) = 1.8834e-3 m²; d = √(4 * 1.8834e-3 / (2 π)) = 34.63 mm → 36 mm
    hydraulics = size_hydraulics(VEHICLE)
    assert hydraulics.needed_clamp_force_n == pytest.approx(14_765.6, abs=0.1)
    assert hydraulics.piston_diameter_m == 0.036
    # 2 * π / 4 * 0.036² = 2.03575e-3 m²; * 8e6 * 0.98 = 15 960.3 N; * 2 * 0.4 * 0.12 = 1532.2 Nm
    assert hydraulics.piston_area_m2 == pytest.approx(2.03575e-3, rel=1e-5)
    assert hydraulics.clamp_force_n == pytest.approx(15_960.3, abs=0.1)
    assert hydraulics.brake_torque_nm == pytest.approx(1532.2, abs=0.1)
    assert hydraulics.peak_clamp_force_n == pytest.approx(1.5 * 15_960.3, abs=0.2)


def test_too_large_a_force_for_any_piston_is_said() -> None:
    with pytest.raises(ValueError, match="raise the pressure or the number of pistons"):
        size_hydraulics(replace(VEHICLE, vehicle_mass_kg=50_000))


def test_the_volume_of_a_housing_is_the_sum_of_its_parts() -> None:
    # ring π/4 (0.05² - 0.04²) = 7.0686e-4; two cylinders * 0.036 = 5.0894e-5
    # two bases π/4 * 0.05² * 0.008 * 2 = 3.1416e-5; bridge 0.1 * 0.02 * 0.066 = 1.32e-4
    # finger 0.1 * 0.05 * 0.02 = 1e-4; together 3.14310e-4 m³
    assert HOUSING.volume_m3 == pytest.approx(3.14310e-4, rel=1e-5)


def test_a_stop_takes_as_long_as_the_sums_say() -> None:
    # Of a torque of 1417.5 Nm: 2 * 1417.5 / 0.3 / 0.7 / 1500 = 9 m/s²
    # v1 = 30 - 9 * 0.2 / 2 = 29.1; t = 0.2 + 29.1 / 9 = 3.4333 s
    # s = 30 * 0.2 - 9 * 0.04 / 6 + 29.1² / 18 = 6 - 0.06 + 47.045 = 52.985 m; E = 675 kJ
    hydraulics = Hydraulics(
        piston_count=2,
        piston_diameter_m=0.036,
        piston_area_m2=2.0e-3,
        needed_clamp_force_n=14_765.6,
        clamp_force_n=14_765.6,
        brake_torque_nm=1417.5,
        peak_clamp_force_n=22_000,
    )
    stopped = stop(VEHICLE, hydraulics)
    assert stopped.deceleration_m_s2 == pytest.approx(9)
    assert stopped.stopping_time_s == pytest.approx(3.43333, abs=1e-5)
    assert stopped.stopping_distance_m == pytest.approx(52.985, abs=1e-3)
    assert stopped.kinetic_energy_j == pytest.approx(675_000)
    assert not stopped.is_tyre_limited
    assert stop(replace(VEHICLE, tyre_friction=0.5), hydraulics).deceleration_m_s2 == pytest.approx(
        4.903325
    )


def test_the_stopping_distance_agrees_with_small_steps_of_time() -> None:
    hydraulics = size_hydraulics(VEHICLE)
    exact = stop(VEHICLE, hydraulics)
    speed, way, time, step = VEHICLE.speed_m_s, 0.0, 0.0, 1e-4
    while speed > 0:
        brake = exact.deceleration_m_s2 * min(1.0, (time + step / 2) / VEHICLE.build_up_time_s)
        way += (speed - brake * step / 2) * step
        speed -= brake * step
        time += step
    assert way == pytest.approx(exact.stopping_distance_m, abs=0.01)
    assert time == pytest.approx(exact.stopping_time_s, abs=0.001)


def test_cylinder_stress_thin_and_thick() -> None:
    # thin: 12e6 * 0.02 / 0.005 = 48 MPa
    assert thin_wall_stress(12e6, 0.02, 0.005) == pytest.approx(48e6)
    # thick: 12e6 * (0.025² + 0.02²) / (0.025² - 0.02²) = 12e6 * 1.025e-3 / 2.25e-4 = 54.667 MPa
    assert thick_wall_stress(12e6, 0.02, 0.005) == pytest.approx(54.6667e6, rel=1e-5)


def test_bridge_stress_is_tension_and_bending() -> None:
    # lever 0.02 + 0.005 + 0.01 = 0.035 m; tension 20e3 / (0.1 * 0.02) = 10 MPa
    # bending 6 * 20e3 * 0.035 / (0.1 * 0.02²) = 105 MPa
    assert HOUSING.lever_arm_m == pytest.approx(0.035)
    assert bridge_stress(20e3, HOUSING) == pytest.approx(115e6)


def test_safety_factors_are_strength_over_stress() -> None:
    hydraulics = replace(size_hydraulics(VEHICLE), peak_clamp_force_n=20e3)
    stress = housing_stress(
        HOUSING,
        hydraulics,
        peak_pressure_pa=12e6,
        pad_friction=0.4,
        yield_pa=230e6,
        is_thick_walled=False,
    )
    # 230 / 115 = 2; 230 / 48 = 4.79; bolts 2 * 0.4 * 20e3 / (2 * 84.3e-6) = 94.9 MPa,
    # 0.577 * 940 / 94.9 = 5.715
    assert stress.bridge_safety_factor == pytest.approx(2)
    assert stress.cylinder_safety_factor == pytest.approx(4.79167, rel=1e-5)
    assert stress.bolt_safety_factor == pytest.approx(5.715, abs=0.001)
    assert stress.least_safety_factor == stress.bridge_safety_factor


def test_fatigue_life_lies_on_a_line_between_two_points() -> None:
    # from 0.9 * 300 = 270 MPa at 10³ to 90 MPa at 10⁷; √(270 * 90) = 155.88 MPa is half way: 10⁵
    assert life_cycles(155.885e6, ultimate_pa=300e6, fatigue_pa=90e6) == pytest.approx(
        1e5, rel=1e-3
    )
    assert life_cycles(90e6, ultimate_pa=300e6, fatigue_pa=90e6) == 1e7
    assert life_cycles(270e6, ultimate_pa=300e6, fatigue_pa=90e6) == pytest.approx(1e3)
    assert life_cycles(300e6, ultimate_pa=300e6, fatigue_pa=90e6) == 1


def test_pulsing_stress_as_a_reversed_one() -> None:
    # 140 MPa pulsing: 70 ± 70; 70 / (1 - 70 / 280) = 93.33 MPa
    assert alternating(140e6, ultimate_pa=280e6) == pytest.approx(93.3333e6, rel=1e-5)


ROTOR = Rotor(
    outer_diameter_m=0.3,
    inner_diameter_m=0.18,
    cheek_thickness_m=0.008,
    density_kg_m3=7200,
    conductivity_w_mk=48.5,
    specific_heat_j_kgk=460,
)


def test_a_rotor_warms_by_energy_over_heat_capacity() -> None:
    # face π/4 (0.09 - 0.0324) = 0.0452389 m²; mass 2 * 0.0452389 * 0.008 * 7200 = 5.21153 kg
    # E = 675e3 * 0.7 / 2 * 0.95 = 224 437.5 J; ΔT = 224 437.5 / (5.21153 * 460) = 93.62 K
    assert ROTOR.mass_kg == pytest.approx(5.21153, rel=1e-5)
    energy = rotor_energy(675e3, front_share=0.7)
    assert energy == pytest.approx(224_437.5)
    assert lumped_rise(energy, ROTOR) == pytest.approx(93.62, abs=0.01)


@pytest.mark.parametrize("layers", [1, 4, 16])
def test_layers_neither_lose_nor_make_heat(layers: int) -> None:
    heating = layered_rise(2e5, ROTOR, duration_s=3, layers=layers)
    assert heating.final_mean_rise_k == pytest.approx(lumped_rise(2e5, ROTOR), rel=1e-9)
    assert heating.peak_surface_rise_k > heating.final_mean_rise_k


def test_a_thick_cheek_warms_like_a_half_infinite_body() -> None:
    # With q = q0 (1 - t/ts) on a half-infinite body the surface rises by
    # 2 q0 √(a t / π) / k * (1 - 2 t / (3 ts)), most at t = ts / 2 (Duhamel's integral).
    thick = replace(ROTOR, cheek_thickness_m=0.08)
    energy, time = 2e5, 2.0
    diffusivity = 48.5 / (7200 * 460)
    flux = energy / (time * thick.face_area_m2)
    most = 2 * flux * (diffusivity * 1.0 / pi) ** 0.5 / 48.5 * (1 - 1 / 3)
    heating = layered_rise(energy, thick, duration_s=time, layers=160)
    assert heating.peak_surface_rise_k == pytest.approx(most, rel=0.01)


def test_repeated_stops_pile_up_and_cool_between() -> None:
    # h A t / (m c) = 60 * 2 * 0.0452389 * 45 / (5.21153 * 460) = 0.101901; e⁻ˣ = 0.903119
    # 100; 100 * 0.903119 + 100 = 190.31; 190.31 * 0.903119 + 100 = 271.87
    rises = repeated_rises(100, ROTOR, stops=3, interval_s=45)
    assert rises == pytest.approx((100, 190.312, 271.874), abs=0.01)


def test_friction_falls_above_350_degrees() -> None:
    assert hot_friction(0.4, 300) == 0.4
    assert hot_friction(0.4, 550) == pytest.approx(0.3)
    assert hot_friction(0.4, 5000) == 0.1
