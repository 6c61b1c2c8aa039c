"""A plan's progress, folded from its events: pure, so that any display can show it."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from domain import plan as plans
from domain import run_evolution as runs
from domain.plan import Plan, PlanEvent
from domain.policies import Event
from domain.recorded import Recorded
from domain.revisions import PlanUpdated
from domain.run import Run
from domain.run_events import (
    RunEvent,
    RunExtended,
    RunRevised,
    RunStarted,
    TaskCompleted,
    TaskFailed,
    TaskSkipped,
    TaskStarted,
)
from domain.scheduling.critical_path import CriticalPath, critical_path
from domain.steering import RunRolledBack, TaskReopened
from domain.values import AgentType, JsonObject, TaskStatus

BUSY: frozenset[TaskStatus] = frozenset({"dispatched", "started"})


@dataclass(slots=True, kw_only=True)
class Timed:
    """One task that has been started, and when."""

    started_at: datetime
    ended_at: datetime | None = None
    agent_id: str = ""

    @property
    def seconds(self) -> float:
        """How long its last attempt took."""
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at else 0.0


@dataclass(slots=True, kw_only=True)
class Phase:
    """One run of the plan: its planning, or an execution."""

    run: Run
    began: datetime
    ended: datetime | None = None
    tallies: dict[AgentType, Counter[TaskStatus]] = field(
        default_factory=dict[AgentType, Counter[TaskStatus]]
    )
    times: dict[str, Timed] = field(default_factory=dict[str, Timed])
    results: dict[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    reasons: dict[str, str] = field(default_factory=dict[str, str])
    running: dict[str, None] = field(default_factory=dict[str, None])
    """The tasks that are started, the oldest first."""

    @property
    def done(self) -> int:
        """How many tasks have ended, well or not."""
        return len(self.run.tasks) - self.run.open

    def tally(self, status: TaskStatus) -> int:
        """Return how many tasks have a status."""
        return sum(one[status] for one in self.tallies.values())


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a plan has come."""

    plan_id: str
    plan: Plan | None = None
    planning: Phase | None = None
    execution: Phase | None = None
    schedule: CriticalPath | None = None
    began: datetime | None = None
    at: datetime | None = None
    """When the last event happened."""

    position: int = 0
    counts: Counter[str] = field(default_factory=Counter[str])
    """How often each type of event was recorded."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be expected."""
        return self.plan is not None and self.plan.is_over

    @property
    def is_idle(self) -> bool:
        """Whether it is planned, and waits for somebody to execute it."""
        plan = self.plan
        return (
            plan is not None
            and plan.status in ("ready", "proposed")
            and (not plan.options.auto_execute or plan.status == "proposed")
        )

    def hear(self, recorded: Recorded[Event]) -> bool:
        """Take in one more event; return whether it was one of this plan's."""
        self.position = max(self.position, recorded.position)
        if not self._is_ours(recorded):
            return False
        self.counts[recorded.type] += 1
        self.began = self.began or recorded.at
        self.at = recorded.at
        if recorded.stream == self.plan_id:
            self.plan = plans.evolve(self.plan, cast("PlanEvent", recorded.event))
            is_new = isinstance(recorded.event, PlanUpdated)
            if self.plan.tasks and (self.schedule is None or is_new):
                self.schedule = critical_path(self.plan.tasks)
        else:
            self._hear_run(cast("RunEvent", recorded.event), recorded.at)
        return True

    def _is_ours(self, recorded: Recorded[Event]) -> bool:
        if recorded.stream == self.plan_id:
            return True
        phases = (self.planning, self.execution)
        if any(phase is not None and phase.run.id == recorded.stream for phase in phases):
            return True
        event = recorded.event
        return isinstance(event, RunStarted) and event.plan_id == self.plan_id

    def _hear_run(self, event: RunEvent, at: datetime) -> None:
        if isinstance(event, RunStarted):
            phase = Phase(run=runs.evolve(None, event), began=at)
            match event.kind:
                case "planning":
                    self.planning = phase
                case "execution":
                    self.execution = phase
                case "replanning":
                    return  # the execution goes on meanwhile
            _add(phase, event)
            return
        found = self.planning
        if found is None or found.run.id != event.run_id:
            found = self.execution
        if found is None:
            return
        before = found.run
        found.run = runs.evolve(before, event)
        if isinstance(event, RunExtended):
            _add(found, event)
        _move(found, before, event, at)
        found.ended = at if found.run.is_over else None


def _add(phase: Phase, event: RunStarted | RunExtended) -> None:
    for task in event.tasks:
        phase.tallies.setdefault(task.agent, Counter())["pending"] += 1


def _move(phase: Phase, before: Run, event: RunEvent, at: datetime) -> None:
    if isinstance(event, RunRevised):
        _revise(phase, event)
        return
    if isinstance(event, TaskReopened | RunRolledBack):
        for name in event.tasks:
            _reopen(phase, name, before.states[name].status)
        return
    task_id = getattr(event, "task_id", None)
    if not isinstance(task_id, str) or task_id not in before.states:
        return
    old, new = before.states[task_id].status, phase.run.states[task_id].status
    if old != new:
        tally = phase.tallies[phase.run.tasks[task_id].agent]
        tally[old] -= 1
        tally[new] += 1
    match event:
        case TaskStarted(agent_id=agent_id):
            phase.times[task_id] = Timed(started_at=at, agent_id=agent_id)
            phase.running[task_id] = None
            return
        case TaskCompleted(result=result) if new == "completed":
            phase.results[task_id] = result
            phase.reasons.pop(task_id, None)  # an attempt failed, the task did not
        case TaskFailed(reason=reason):
            phase.reasons[task_id] = reason
        case TaskSkipped(rule=str(), reason=reason):
            phase.reasons[task_id] = f"skipped: {reason}"
        case TaskSkipped(because=None, reason=reason):
            phase.reasons[task_id] = f"skipped on request{f': {reason}' if reason else ''}"
        case TaskSkipped(because=because):
            phase.reasons[task_id] = f"skipped, because {because} did not end well"
        case _:
            pass
    if new != "started":
        phase.running.pop(task_id, None)
        if (timed := phase.times.get(task_id)) is not None and timed.ended_at is None:
            timed.ended_at = at


def _revise(phase: Phase, event: RunRevised) -> None:
    """Count the tasks of another graph, and forget what has become of those that it changes."""
    phase.tallies.clear()
    for name, task in phase.run.tasks.items():
        tally = phase.tallies.setdefault(task.agent, Counter())
        tally[phase.run.states[name].status] += 1
    for name in event.was:
        _forget(phase, name)


def _reopen(phase: Phase, task_id: str, old: TaskStatus) -> None:
    """Forget what has become of a task: it is pending again."""
    tally = phase.tallies[phase.run.tasks[task_id].agent]
    tally[old] -= 1
    tally["pending"] += 1
    _forget(phase, task_id)


def _forget(phase: Phase, task_id: str) -> None:
    phase.running.pop(task_id, None)
    phase.times.pop(task_id, None)
    phase.results.pop(task_id, None)
    phase.reasons.pop(task_id, None)
