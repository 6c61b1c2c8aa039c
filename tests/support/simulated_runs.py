"""Whole runs in virtual time, by the domain's own decisions: some take longer, fail or are lost."""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count

from domain.errors import Refused
from domain.run import Run
from domain.run_decisions import decide
from domain.run_events import (
    RunEvent,
    RunReport,
    RunRequested,
    TaskCompleted,
    TaskDispatched,
    TaskFailed,
    TaskLost,
    TaskStarted,
)
from domain.run_evolution import evolve
from domain.run_options import RunOptions
from domain.steering import RunPauseRequested, RunResumeRequested
from domain.tasks import Task
from tests.support.making import RUN_ID, task
from tests.support.scenario import NOW

LIMITS = {"A": 2, "B": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    event: RunEvent
    at: float
    """Seconds from the start."""


def a_graph(chance: random.Random, most: int = 18) -> tuple[Task, ...]:
    names = [f"t{number:02}" for number in range(chance.randint(6, most))]
    return tuple(
        task(
            name,
            *chance.sample(names[:place], min(place, chance.choice([0, 1, 1, 2]))),
            agent=chance.choice("AB"),
            duration=timedelta(seconds=chance.randint(60, 3_600)),
        )
        for place, name in enumerate(names)
    )


def simulated(
    tasks: Sequence[Task], chance: random.Random, *, pauses: bool = True
) -> list[Happened]:
    """Carry a graph out to its end, and return what happened when."""
    options = RunOptions(limits=LIMITS)
    happened: list[Happened] = []
    number = count()
    requested = RunRequested(run_id=RUN_ID, plan_id="plan_1", tasks=tuple(tasks), options=options)
    waiting: list[tuple[float, int, RunReport]] = [(0.0, next(number), requested)]
    by_id = {each.id: each for each in tasks}
    if pauses and chance.random() < 0.2:
        begin = chance.uniform(100, 5_000)
        pause, resume = RunPauseRequested(run_id=RUN_ID), RunResumeRequested(run_id=RUN_ID)
        waiting.append((begin, next(number), pause))
        waiting.append((begin + chance.uniform(10, 900), next(number), resume))
    heapq.heapify(waiting)
    run: Run | None = None
    while waiting:
        at, _, report = heapq.heappop(waiting)
        try:
            events = decide(run, report, NOW + timedelta(seconds=at))
        except Refused:
            continue
        for event in events:
            run = evolve(run, event)
            happened.append(Happened(event=event, at=at))
            if isinstance(event, TaskDispatched):
                start = at + event.delay + chance.uniform(0, 5)
                estimated = by_id[event.task_id].duration.total_seconds()
                end = start + estimated * chance.lognormvariate(0.05, 0.3)
                who = {"run_id": RUN_ID, "task_id": event.task_id, "epoch": event.epoch}
                who |= {"agent_id": "ann"}
                fate = chance.random()
                last: RunReport = TaskCompleted.model_validate(who)
                if fate < 0.05:
                    last = TaskFailed.model_validate(who | {"reason": "it broke"})
                elif fate < 0.08:
                    end = chance.uniform(start, end)
                    last = TaskLost.model_validate(who | {"reason": "silence"})
                heapq.heappush(waiting, (start, next(number), TaskStarted.model_validate(who)))
                heapq.heappush(waiting, (end, next(number), last))
    assert run is not None
    assert run.is_over
    return happened
