"""The SIM worker: acceptance tests, simulations from cheap to fine, validation."""

from agents.agent import Agent
from agents.skills.brake_simulation import (
    analyse_stress,
    screen_stress,
    screen_thermal,
    simulate_braking,
    simulate_fade,
    simulate_rotor,
    study_rotor_convergence,
)
from agents.skills.effort import screen_effort, simulate_effort
from agents.skills.service import assess_availability, screen_capacity, simulate_load
from agents.skills.structure import (
    analyse_beam,
    analyse_vibration,
    screen_beam,
    study_beam_convergence,
)
from agents.skills.study import assess_recruitment, screen_power, simulate_power
from agents.skills.validation import (
    compare_fidelities,
    define_acceptance,
    estimate_fatigue,
    evaluate_acceptance,
)
from agents.skills.vessel import screen_cooling, simulate_cooling, study_cooling_convergence

AGENT = Agent(
    type="SIM",
    actions={
        "define_acceptance": define_acceptance,
        "screen_stress": screen_stress,
        "screen_thermal": screen_thermal,
        "simulate_braking": simulate_braking,
        "analyse_stress": analyse_stress,
        "simulate_rotor": simulate_rotor,
        "study_rotor_convergence": study_rotor_convergence,
        "simulate_fade": simulate_fade,
        "screen_beam": screen_beam,
        "analyse_beam": analyse_beam,
        "analyse_vibration": analyse_vibration,
        "study_beam_convergence": study_beam_convergence,
        "screen_capacity": screen_capacity,
        "simulate_load": simulate_load,
        "assess_availability": assess_availability,
        "screen_cooling": screen_cooling,
        "simulate_cooling": simulate_cooling,
        "study_cooling_convergence": study_cooling_convergence,
        "screen_power": screen_power,
        "simulate_power": simulate_power,
        "assess_recruitment": assess_recruitment,
        "screen_effort": screen_effort,
        "simulate_effort": simulate_effort,
        "compare_fidelities": compare_fidelities,
        "estimate_fatigue": estimate_fatigue,
        "evaluate_acceptance": evaluate_acceptance,
    },
    capabilities=("simulation", "analysis", "validation", "testing"),
)
