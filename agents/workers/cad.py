"""The CAD worker: materials, designs in iterations, checks, release."""

from agents.agent import Agent
from agents.skills.brake_design import (
    design_rotor,
    draft_housing,
    lighten_housing,
    refine_housing,
    size_hydraulics,
)
from agents.skills.drawing import (
    check_assembly,
    check_manufacture,
    choose_concept,
    release_design,
    review_design,
    select_material,
    stack_tolerances,
)
from agents.skills.effort import outline_work
from agents.skills.service import draft_capacity, refine_capacity
from agents.skills.structure import draft_tube, lighten_tube, refine_tube
from agents.skills.study import draft_study, refine_study
from agents.skills.vessel import draft_cup, lighten_cup, refine_cup

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
    },
    capabilities=("design", "modeling", "validation"),
)
