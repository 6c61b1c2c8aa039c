"""The CAD worker: materials, designs in iterations, checks, release."""

from agents.agent import Agent
from agents.skills.brake_design import (
    design_rotor,
    draft_housing,
    lighten_housing,
    refine_housing,
    size_hydraulics,
)
from agents.skills.brake_simulation import screen_stress, screen_thermal
from agents.skills.drawing import (
    check_assembly,
    check_manufacture,
    choose_concept,
    release_design,
    review_design,
    select_material,
    stack_tolerances,
)
from agents.skills.effort import outline_work, screen_effort
from agents.skills.service import draft_capacity, refine_capacity, screen_capacity
from agents.skills.structure import draft_tube, lighten_tube, refine_tube, screen_beam
from agents.skills.study import draft_study, refine_study, screen_power
from agents.skills.vessel import draft_cup, lighten_cup, refine_cup, screen_cooling

AGENT = Agent(
    type="CAD",
    actions={
        "select_material": select_material,
        "choose_concept": choose_concept,
        "size_hydraulics": size_hydraulics,
        "design_rotor": design_rotor,
        "draft_housing": draft_housing,
        "refine_housing": refine_housing,
        "lighten_housing": lighten_housing,
        "draft_tube": draft_tube,
        "refine_tube": refine_tube,
        "lighten_tube": lighten_tube,
        "draft_capacity": draft_capacity,
        "refine_capacity": refine_capacity,
        "draft_cup": draft_cup,
        "refine_cup": refine_cup,
        "lighten_cup": lighten_cup,
        "draft_study": draft_study,
        "refine_study": refine_study,
        "outline_work": outline_work,
        "check_manufacture": check_manufacture,
        "check_assembly": check_assembly,
        "stack_tolerances": stack_tolerances,
        "review_design": review_design,
        "release_design": release_design,
        # Whoever designs can calculate by hand, and so screen where nobody simulates.
        "screen_stress": screen_stress,
        "screen_thermal": screen_thermal,
        "screen_beam": screen_beam,
        "screen_cooling": screen_cooling,
        "screen_capacity": screen_capacity,
        "screen_power": screen_power,
        "screen_effort": screen_effort,
    },
    capabilities=("design", "modeling", "validation"),
)
