"""The schedule of a task graph: its agent types are the resources, and every task takes one agent.

How many agents of a type there are is what the options of the run say: with ``conservative`` one,
with ``balanced`` four, with ``aggressive`` as many as can be used; ``limits`` say more than these.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.run_options import RunOptions
from domain.scheduling.feasibility import is_feasible
from domain.scheduling.network import Activity, Network, Time, network
from domain.scheduling.searching import QUICK, Found, search
from domain.tasks import Task
from domain.values import AgentType, TaskId, Value

Algorithm = Literal["critical_path_method", "priority_rules", "constraint_programming"]
"""How a schedule was made.

``critical_path_method``   every task starts as soon as what it needs has ended: agents never lack
``priority_rules``         by rules and what can be made of them, which is built in
``constraint_programming`` a solver found a shorter one, or proved that there is none
"""

SolverStatus = Literal["optimal", "feasible", "unknown", "unavailable", "too_large"]
"""What became of a solver's attempt.

``optimal``     there is no shorter schedule, and that is proved
``feasible``    the time ran out before either was known: whether there is, or that there is none
``unknown``     the solver has said nothing that helps: the schedule is the one that it was given
``unavailable`` there is no solver: the extra ``optimize`` is not installed, or its process died
``too_large``   the project is more than a solver is asked to look at
"""

Moment = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Schedule(Value):
    """When the tasks of a plan run, in seconds from its start, with the agents there are."""

    algorithm: Algorithm
    starts: dict[TaskId, Moment]
    makespan: Moment
    bound: Moment
    """What no schedule of the graph with these agents can go below."""

    agents: dict[AgentType, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """How many agents of a type it counts on; of a type that is not named, as many as it needs."""

    solver: SolverStatus | None = None
    """What became of the solver, where one was asked."""

    @property
    def is_optimal(self) -> bool:
        """Whether it is proved that there is no shorter one."""
        return self.makespan <= self.bound

    @property
    def gap(self) -> float:
        """By which share it may be longer than the shortest one, at the most."""
        return (self.makespan - self.bound) / self.bound if self.bound else 0.0


_TICK: Final = timedelta(microseconds=1)
_TICKS: Final = 1_000_000
_ALL: Final = "all tasks"


def project_of(tasks: Sequence[Task], options: RunOptions) -> Network:
    """Return a task graph as a project; its times are whole microseconds.

    Raises:
        CyclicGraph: Some tasks wait for each other.
        UnknownDependency: A task needs one that there is not.
    """
    lacking = _lacking(tasks, options)
    is_sequential = options.execution_mode == "sequential"
    resources = [_ALL] if is_sequential else sorted(lacking)
    capacities = [1] if is_sequential else [lacking[name] for name in resources]
    activities = [
        Activity(
            id=task.id,
            duration=task.duration // _TICK,
            needs=task.needs,
            demand=tuple(int(name in (task.agent, _ALL)) for name in resources),
        )
        for task in tasks
    ]
    return network(activities, capacities)


def _lacking(tasks: Sequence[Task], options: RunOptions) -> Mapping[AgentType, int]:
    """Return how many agents there are of the types of which there are not always enough."""
    used = Counter(task.agent for task in tasks)
    there = {name: options.agents_of(name) for name in used}
    return {name: most for name, most in there.items() if most is not None and most < used[name]}


def schedule_of(tasks: Sequence[Task], options: RunOptions) -> Schedule:
    """Return the schedule that is built in, always the same one for the same graph.

    Raises:
        CyclicGraph: Some tasks wait for each other.
        UnknownDependency: A task needs one that there is not.
    """
    project = project_of(tasks, options)
    return said(project, built_in(project), tasks, options)


def built_in(project: Network) -> Found:
    """Return a good schedule of a plan's project, as quickly as recording it allows."""
    return search(project, effort=QUICK)


def said(
    project: Network,
    found: Found,
    tasks: Sequence[Task],
    options: RunOptions,
    *,
    solver: SolverStatus | None = None,
    is_solvers: bool = False,
) -> Schedule:
    """Return a schedule as events say it."""
    algorithm: Algorithm = "constraint_programming" if is_solvers else "priority_rules"
    if tuple(found.starts) == project.earliest:
        algorithm = "critical_path_method"
    return Schedule(
        algorithm=algorithm,
        starts=dict(zip(project.ids, map(_seconds, found.starts), strict=True)),
        makespan=_seconds(found.makespan),
        bound=_seconds(found.bound),
        agents=dict(sorted(_lacking(tasks, options).items())),
        solver=solver,
    )


def fits(schedule: Schedule, tasks: Sequence[Task], options: RunOptions) -> bool:
    """Return whether a graph can be carried out so: what planners say of it is not just believed.

    Raises:
        CyclicGraph: Some tasks wait for each other.
        UnknownDependency: A task needs one that there is not.
    """
    project = project_of(tasks, options)
    if schedule.starts.keys() != set(project.ids) or schedule.bound > schedule.makespan:
        return False
    starts = [round(schedule.starts[name] * _TICKS) for name in project.ids]
    makespan = round(schedule.makespan * _TICKS)
    return is_feasible(project, starts) and project.makespan_of(starts) == makespan


def _seconds(ticks: Time) -> float:
    return ticks / _TICKS
