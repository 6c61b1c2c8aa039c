"""Planning and carrying out goals in this process: no broker, no record, only what agents know."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from agents.agent import Agent, Work
from agents.planners import cad as cad_planner
from agents.planners import comp as comp_planner
from agents.planners import meta as meta_domain_planner
from agents.planners import meta_planner
from agents.planners import sim as sim_planner
from agents.planners import supp as supp_planner
from agents.workers import cad, comp, meta, noop, sim, supp
from domain.goals import Goal, Options
from domain.graph import order
from domain.tasks import Task
from domain.teams import grow_planning, planning_tasks
from domain.values import JsonObject

PLANNERS: Mapping[str, Agent] = {
    module.AGENT.type: module.AGENT
    for module in (
        meta_planner,
        meta_domain_planner,
        cad_planner,
        sim_planner,
        comp_planner,
        supp_planner,
    )
}
WORKERS: Mapping[str, Agent] = {
    module.AGENT.type: module.AGENT for module in (meta, cad, sim, comp, supp, noop)
}

_TASKS = TypeAdapter(tuple[Task, ...])


async def carry(
    agents: Mapping[str, Agent], task: Task, results: Mapping[str, JsonObject]
) -> JsonObject:
    """Carry one task out with the results of those it names."""
    work = Work(
        run_id="exec_test",
        task_id=task.id,
        epoch=1,
        name=task.name,
        action=task.action,
        params=task.params,
        inputs={name: results[need] for name, need in task.inputs.items()},
    )
    return await agents[task.agent].carries(task.action)(work)


async def planned(goal: Goal, options: Options | None = None) -> JsonObject:
    """Plan a goal as a planning run does, and return the synthesis."""
    tasks = {task.id: task for task in planning_tasks(goal, options or Options())}
    results: dict[str, JsonObject] = {}
    while waiting := [task for task in tasks.values() if task.id not in results]:
        for task in waiting:
            if all(need in results for need in task.needs):
                results[task.id] = await carry(PLANNERS, task, results)
                for grown in grow_planning(task.id, results[task.id], tasks):
                    tasks[grown.id] = grown
                break
    return results["synthesize"]


def tasks_of(synthesis: JsonObject) -> tuple[Task, ...]:
    """Return the tasks of a synthesis."""
    return _TASKS.validate_python(synthesis["tasks"])


async def carried_out(tasks: tuple[Task, ...]) -> dict[str, JsonObject]:
    """Carry a whole graph out, in order, and return every result."""
    by_id = {task.id: task for task in tasks}
    results: dict[str, JsonObject] = {}
    for name in order(tasks):
        results[name] = await carry(WORKERS, by_id[name], results)
    return results


def work(action: str, params: JsonObject | None = None, **inputs: Any) -> Work:
    """Return work as a worker gets it; underscores in the inputs' names stand for hyphens."""
    return Work(
        run_id="exec_test",
        task_id="task_001",
        epoch=1,
        name=action,
        action=action,
        params=params or {},
        inputs={name.replace("_", "-"): found for name, found in inputs.items()},
    )
