"""Schedules of plans: what runs when, and how busy the agents are with it."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from fastapi import APIRouter
from pydantic import BaseModel

from api.access import may
from api.durations import Moment, human
from api.plans import Id, require_plan
from api.reading import Reading
from domain.goals import Options
from domain.plan import run_options
from domain.scheduling.critical_path import critical_path
from domain.scheduling.schedules import Algorithm, Schedule, SolverStatus, schedule_of
from domain.tasks import Task
from projections.graphs import GRAPHS, read_graph, read_schedule
from projections.plans import PLANS

router = APIRouter(prefix="/plans", tags=["plans"])


class Slot(BaseModel):
    """Tasks that run from one moment to another."""

    start_time: Moment
    end_time: Moment
    start_seconds: float
    end_seconds: float
    """Counted from the start of the plan."""

    tasks: Sequence[str]
    agents: Sequence[str]
    """The agent types of the tasks, sorted."""


class PlannedSchedule(BaseModel):
    """When the tasks of a plan run."""

    algorithm: Algorithm
    makespan: str
    makespan_seconds: float
    lower_bound: str
    lower_bound_seconds: float
    """No schedule with these agents is shorter."""

    gap: float
    """By which share it may be longer than the shortest one, at the most; 0 is proved."""

    solver: SolverStatus | None
    parallelization_ratio: float
    """The share of the work that overlaps."""

    time_slots: Sequence[Slot]
    resource_utilization: Mapping[str, float]
    """How busy the agents of each type are, from 0 to 1."""

    agents: Mapping[str, int]
    """How many agents of each type are counted on, or used at once where any number is there."""

    critical_path: Sequence[str]


class ScheduleAnswer(BaseModel):
    """One plan's schedule; none, where it is not planned yet."""

    plan_id: str
    schedule: PlannedSchedule | None


@router.get("/{plan_id}/schedule", dependencies=[may("plan:read")])
async def show_schedule(plan_id: Id, views: Reading) -> ScheduleAnswer:
    """Show when the tasks of a plan run, were it started as soon as it was planned."""
    async with views.snapshot(PLANS, GRAPHS) as read:
        row = await require_plan(read, plan_id)
        tasks = await read_graph(read.connection, plan_id)
        schedule = await read_schedule(read.connection, plan_id)
    if not tasks or row.planned_at is None:
        return ScheduleAnswer(plan_id=plan_id, schedule=None)
    if schedule is None:
        # A plan of before version 0.2: what it would be given today.
        run = run_options(Options.model_validate(row.options))
        schedule = await asyncio.to_thread(schedule_of, tasks, run)
    shown = await asyncio.to_thread(planned, schedule, tasks, row.planned_at)
    return ScheduleAnswer(plan_id=plan_id, schedule=shown)


def planned(schedule: Schedule, tasks: Sequence[Task], begins: datetime) -> PlannedSchedule:
    """Return a schedule to read, that of a graph that begins at a moment."""
    path = critical_path(tasks)
    agents = _at_once(schedule, tasks) | schedule.agents
    return PlannedSchedule(
        algorithm=schedule.algorithm,
        makespan=human(schedule.makespan),
        makespan_seconds=schedule.makespan,
        lower_bound=human(schedule.bound),
        lower_bound_seconds=schedule.bound,
        gap=round(schedule.gap, 4),
        solver=schedule.solver,
        parallelization_ratio=round(1 - schedule.makespan / path.work, 4) if path.work else 0.0,
        time_slots=_slots(schedule, tasks, begins),
        resource_utilization=_utilization(schedule, tasks, agents),
        agents=agents,
        critical_path=path.path,
    )


def _slots(schedule: Schedule, tasks: Sequence[Task], begins: datetime) -> Sequence[Slot]:
    together: dict[tuple[float, float], list[Task]] = defaultdict(list)
    for task in tasks:
        start = schedule.starts[task.id]
        together[start, start + task.duration.total_seconds()].append(task)
    return [
        Slot(
            start_time=begins + timedelta(seconds=start),
            end_time=begins + timedelta(seconds=end),
            start_seconds=start,
            end_seconds=end,
            tasks=sorted(task.id for task in together[start, end]),
            agents=sorted({task.agent for task in together[start, end]}),
        )
        for start, end in sorted(together)
    ]


def _at_once(schedule: Schedule, tasks: Sequence[Task]) -> dict[str, int]:
    """Return how many agents of each type have work at the busiest moment."""
    moves: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for task in tasks:
        start = schedule.starts[task.id]
        moves[task.agent] += [(start, 1), (start + task.duration.total_seconds(), -1)]
    peaks: dict[str, int] = {}
    for agent in sorted(moves):
        busy = 0
        peaks[agent] = 1
        for _, move in sorted(moves[agent]):  # of one moment, what ends comes first
            busy += move
            peaks[agent] = max(peaks[agent], busy)
    return peaks


def _utilization(
    schedule: Schedule, tasks: Sequence[Task], agents: Mapping[str, int]
) -> Mapping[str, float]:
    work: Counter[str] = Counter()
    for task in tasks:
        work[task.agent] += round(task.duration.total_seconds() * 1_000)
    span = schedule.makespan * 1_000
    return {
        name: round(work[name] / (span * count), 4) if span else 0.0
        for name, count in sorted(agents.items())
    }
