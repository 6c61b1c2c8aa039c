"""The synthesis schedules its graph, with the agents that the options count on."""

import pytest

from domain.goals import Goal, Options
from domain.plan import run_options
from domain.scheduling.critical_path import critical_path
from domain.scheduling.schedules import Schedule, fits
from tests.agents.carrying import planned, tasks_of

GOAL = Goal(title="Design a brake caliper for 1,200 kg", domain="automotive")


async def schedule_for(options: Options) -> Schedule:
    results = await planned(GOAL, options)
    schedule = Schedule.model_validate(results["schedule"])
    assert fits(schedule, tasks_of(results), run_options(options))
    return schedule


@pytest.mark.parametrize("choice", ["conservative", "balanced", "aggressive"])
async def test_every_synthesis_has_a_schedule_that_can_be_carried_out(choice: str) -> None:
    options = Options.model_validate({"parallelization": choice})
    schedule = await schedule_for(options)
    results = await planned(GOAL, options)
    path = critical_path(tasks_of(results))
    assert path.makespan <= schedule.bound <= schedule.makespan
    assert schedule.solver is None


async def test_many_agents_need_no_more_time_than_few() -> None:
    few = Options.model_validate({"execution": {"limits": dict.fromkeys(DOMAINS, 1)}})
    many = Options.model_validate({"execution": {"limits": dict.fromkeys(DOMAINS, 16)}})
    assert (await schedule_for(many)).makespan <= (await schedule_for(few)).makespan


async def test_a_solver_makes_it_no_longer_and_says_what_became_of_it() -> None:
    few = {"execution": {"limits": dict.fromkeys(DOMAINS, 1)}}
    alone = await schedule_for(Options.model_validate(few))
    solved = await schedule_for(Options.model_validate(few | {"optimize": 2}))
    assert solved.bound <= solved.makespan <= alone.makespan
    assert solved.solver in ("optimal", "feasible", "unknown", "unavailable")


DOMAINS = ("META", "CAD", "SIM", "COMP", "SUPP")
