"""Revisions of a plan: a graph in the place of another one, while its run goes on.

A run asks, because a task failed for good or nobody carries out a type of work any more; or a
person does. The planners propose, the plan decides, and the run goes on with the new graph: what is
completed stays completed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from domain.goals import Goal, Options
from domain.run_options import RunOptions
from domain.scheduling.schedules import Schedule, schedule_of
from domain.tasks import Seconds, Task
from domain.values import AgentType, PersonalText, PlanId, Priority, RunId, TaskId, Value

Number = Annotated[float, Field(allow_inf_nan=False)]
MOST_NOTES = 100


class PlanReplanRequested(Value):
    """A person wants another graph for a plan that is not carried out yet."""

    type: Literal["plan.replan_requested"] = "plan.replan_requested"
    plan_id: PlanId
    reason: PersonalText = ""
    max_delay: Seconds | None = None
    author: PersonalText = ""


class PlanReplanning(Value):
    """The planners are asked for another graph."""

    type: Literal["plan.replanning"] = "plan.replanning"
    plan_id: PlanId
    run_id: RunId | None
    """The run that is to go on with it."""

    planning_run: RunId
    """The run in which it is planned."""

    goal: Goal
    options: Options
    priority: Priority
    revision: int
    """The revision that it is to replace."""

    tasks: tuple[Task, ...]
    met: tuple[TaskId, ...]
    """What is completed, or need not be done: it stays as it is."""

    has_own_graph: bool
    """Whether the plan came with its graph, so that no domain has planned it."""

    task_id: TaskId | None
    """The task that failed for good, where there is one."""

    agent_type: AgentType | None
    """The type of agents that nobody serves any more, where there is one."""

    reason: PersonalText
    max_delay: Seconds | None = None
    """By how many seconds the end may move at the most."""


class GraphRevised(Value):
    """A replanning run has ended with another graph."""

    type: Literal["graph.revised"] = "graph.revised"
    plan_id: PlanId
    run_id: RunId
    tasks: tuple[Task, ...]
    notes: tuple[PersonalText, ...] = ()


class ReplanningGivenUp(Value):
    """A replanning run has ended without a graph."""

    type: Literal["replanning.given_up"] = "replanning.given_up"
    plan_id: PlanId
    run_id: RunId
    reason: PersonalText


class PlanUpdated(Value):
    """The plan has another graph: its next revision."""

    type: Literal["plan.updated"] = "plan.updated"
    plan_id: PlanId
    run_id: RunId | None
    revision: int
    tasks: tuple[Task, ...]
    added: tuple[TaskId, ...]
    removed: tuple[TaskId, ...]
    modified: tuple[TaskId, ...]
    reason: PersonalText
    """Why there is another one."""

    notes: tuple[PersonalText, ...] = ()
    """What the planners say about it."""

    delay: Number
    """By how many seconds what is left takes longer than it would have; negative if shorter."""

    cost: Number
    """By how much what is left costs more."""

    schedule: Schedule | None = None
    author: PersonalText = "planners"


class PlanReplanRefused(Value):
    """The graph stays as it is."""

    type: Literal["plan.replan_refused"] = "plan.replan_refused"
    plan_id: PlanId
    run_id: RunId | None
    revision: int
    reason: PersonalText
    delay: Number | None = None
    """What the best graph that was found would have cost in seconds, where one was found."""

    max_delay: Seconds | None = None


RevisionEvent = PlanReplanning | PlanUpdated | PlanReplanRefused
RevisionReport = PlanReplanRequested | GraphRevised | ReplanningGivenUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What another graph changes, in order of id."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    modified: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.modified)


def difference(before: Sequence[Task], after: Sequence[Task]) -> Difference:
    """Return what has changed between two graphs."""
    old, new = _by_id(before), _by_id(after)
    return Difference(
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
        modified=tuple(sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
    )


def left_of_graph(tasks: Sequence[Task], met: Collection[str]) -> tuple[Task, ...]:
    """Return the graph of what is not met, without the edges to what is."""
    done = frozenset(met)
    return tuple(
        task.model_copy(
            update={
                "depends_on": tuple(name for name in task.depends_on if name not in done),
                "inputs": {as_: name for as_, name in task.inputs.items() if name not in done},
            }
        )
        for task in tasks
        if task.id not in done
    )


def delay_of(
    before: Sequence[Task], after: Sequence[Task], met: Collection[str], options: RunOptions
) -> float:
    """Return by how many seconds another graph makes what is left longer.

    Both are scheduled with the agents that the options count on: what the old graph would take is
    what it would have taken, had nothing gone wrong.
    """
    old, new = (schedule_of(left_of_graph(each, met), options).makespan for each in (before, after))
    return new - old


def cost_of(before: Sequence[Task], after: Sequence[Task], met: Collection[str]) -> float:
    """Return by how much another graph makes what is left dearer."""
    done = frozenset(met)
    old, new = (sum(task.cost for task in each if task.id not in done) for each in (before, after))
    return new - old


def _by_id(tasks: Sequence[Task]) -> Mapping[str, Task]:
    return {task.id: task for task in tasks}
