"""Histories that obey the rules: made by the domain's own decisions, from a seed."""

import asyncio
import random
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.agent import AgentRegistered, AgentStatus, Capacity
from domain.breaker import BreakerClosed, BreakerHalfOpened, BreakerOpened
from domain.deciders import decider_of, stream_of
from domain.errors import CannotSteer, UnknownCheckpoint
from domain.findings import Conflict, Origin
from domain.goals import Goal, Options
from domain.plan import GoalSubmitted, GraphProposed, PlanCancelRequested
from domain.policies import AnyReport, Event, reports_after
from domain.recorded import Recorded, Report, derived_id
from domain.run import Run
from domain.run_events import (
    RunRequested,
    TaskCompleted,
    TaskDispatched,
    TaskFailed,
    TaskLost,
    TaskReport,
    TaskStarted,
    TaskTimedOut,
)
from domain.run_options import RunOptions
from domain.runs_of_plans import planning_run_of
from domain.steering import (
    RunCancelRequested,
    RunPauseRequested,
    RunResumeRequested,
    RunRollbackRequested,
    TaskRetryRequested,
    TaskSkipRequested,
)
from domain.tasks import Task, Timeouts
from domain.teams import DECOMPOSE, SYNTHESIZE
from domain.usage import ModelCall

START = datetime(2026, 1, 20, 11, 30, tzinfo=UTC)
TYPES = ("META", "CAD", "SIM", "COMP", "SUPP")


class History:
    """A log in memory, written by the deciders; it is a ``Log`` as well."""

    def __init__(self) -> None:
        self.events: list[Recorded[Event]] = []
        self.now = START
        self.states: dict[str, Any] = {}
        self._versions: dict[str, int] = {}
        self._reports = 0

    def say(self, body: AnyReport, *, actor: str = "users/ada") -> Sequence[Recorded[Event]]:
        """Record what a report leads to, and everything that follows from that by policy."""
        self._reports += 1
        first = Report(
            id=derived_id("history", str(self._reports)),
            stream=stream_of(body),
            body=body,
            said_at=self.now,
            actor=actor,
            correlation_id="c-1",
        )
        before = len(self.events)
        waiting: deque[Report[AnyReport]] = deque([first])
        while waiting:
            report = waiting.popleft()
            decider = decider_of(report.stream)
            state = self.states.get(report.stream)
            for number, event in enumerate(decider.decide(state, report.body, self.now), start=1):
                state = self.states[report.stream] = decider.evolve(state, event)
                version = self._versions[report.stream] = self._versions.get(report.stream, 0) + 1
                recorded: Recorded[Event] = Recorded(
                    id=derived_id(report.id, str(number)),
                    position=3 * len(self.events) + 1,  # positions have gaps
                    stream=report.stream,
                    version=version,
                    event=event,
                    at=self.now,
                    actor=report.actor,
                    correlation_id=report.correlation_id,
                    causation_id=report.id,
                )
                self.events.append(recorded)
                waiting.extend(reports_after(recorded))
        self.now += timedelta(seconds=1)
        return self.events[before:]

    async def read_all(self, *, after: int, limit: int) -> Sequence[Recorded[Event]]:
        return [recorded for recorded in self.events if recorded.position > after][:limit]

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 # as the port has it
        await asyncio.sleep(min(timeout, 0.01))

    @property
    def head(self) -> int:
        return self.events[-1].position if self.events else 0

    def open_attempts(self) -> list[TaskDispatched]:
        """Return the latest dispatch of every task whose attempt has not ended."""
        latest: dict[tuple[str, str], TaskDispatched] = {}
        for recorded in self.events:
            if isinstance(recorded.event, TaskDispatched):
                latest[recorded.stream, recorded.event.task_id] = recorded.event
        return [
            event
            for (run_id, task_id), event in latest.items()
            if self.states[run_id].states[task_id].status in ("dispatched", "started")
        ]


def a_graph(chance: random.Random, size: int) -> tuple[Task, ...]:
    """Return a graph of so many tasks, each of which needs at most three earlier ones."""
    return tuple(
        Task(
            id=f"task-{number}",
            name=f"Task {number}",
            agent=chance.choice(TYPES),
            depends_on=tuple(
                f"task-{need}"
                for need in sorted(chance.sample(range(number), min(number, chance.randint(0, 3))))
            ),
            duration=timedelta(hours=chance.randint(1, 8)),
            cost=float(chance.randint(0, 100)),
            timeouts=Timeouts(start=60, run=600, total=7_200),
            fallback="NOOP" if number % 5 == 0 else None,
        )
        for number in range(size)
    )


def a_goal(number: int) -> Goal:
    return Goal(title=f"Design component {number}", domain="automotive", priority="high")


def a_history(
    seed: int,
    *,
    plans: int = 4,
    size: int = 40,
    turns: int = 300,
    options: RunOptions | None = None,
) -> History:
    """Return a history in which much happens: failures, losses, late reports, cancellations.

    With options there is a run beside those of the plans that is carried out as they say.
    """
    chance = random.Random(seed)
    history = History()
    agents = [f"{kind.lower()}_agent_{number}" for kind in TYPES for number in (1, 2)]
    for agent in agents:
        history.say(
            AgentRegistered(
                agent_id=agent,
                agent_type=agent.split("_")[0].upper(),
                capabilities=("design",),
                capacity=Capacity(max_concurrent_tasks=5, max_queue_size=20),
                instance=f"{agent}-start-1",
            )
        )
    for number in range(plans):
        history.say(
            GoalSubmitted(
                plan_id=f"plan_{number}",
                goal=a_goal(number),
                options=Options(auto_execute=True),
                tasks=a_graph(chance, size) if number % 2 else (),
            )
        )
    _propose_with_a_conflict(history)
    if options is not None:
        tasks = a_graph(chance, size)
        history.say(RunRequested(run_id="exec_own", tasks=tasks, options=options))
    _open_and_close_a_breaker(history)
    old: list[TaskReport] = []
    for _ in range(turns):
        report = _next_report(chance, history, agents, old)
        if report is None:
            break
        with suppress(CannotSteer, UnknownCheckpoint):
            history.say(report)
    return history


def _propose_with_a_conflict(history: History) -> None:
    plan_id = "plan_disputed"
    sides = (Origin(domain="CAD", key="draw"), Origin(domain="SIM", key="bend"))
    history.say(GoalSubmitted(plan_id=plan_id, goal=a_goal(99)))
    history.say(
        GraphProposed(
            plan_id=plan_id,
            run_id=planning_run_of(plan_id),
            tasks=(Task(id="draw", name="Draw", agent="CAD"),),
            conflicts=(
                Conflict(kind="order", subject="design", origins=sides, decision="CAD goes first"),
            ),
            missing=("SIM bend needs a load, which nobody produces",),
        )
    )


def _open_and_close_a_breaker(history: History) -> None:
    for agent_type, is_over in (("CAD", True), ("SIM", False)):
        kind: dict[str, Any] = {"role": "execution", "agent_type": agent_type}
        until = history.now + timedelta(seconds=16)
        history.say(
            BreakerOpened(
                **kind, reason="all attempts failed", ended=12, failed=12, trips=1, until=until
            )
        )
        if is_over:
            history.say(BreakerHalfOpened(**kind, trips=1))
            history.say(BreakerClosed(**kind, reason="the probe succeeded"))


def _next_report(
    chance: random.Random, history: History, agents: Sequence[str], old: list[TaskReport]
) -> AnyReport | None:
    attempts = history.open_attempts()
    if not attempts:
        return _awakening(history)
    dice = chance.random()
    if dice < 0.004:
        return RunCancelRequested(run_id=chance.choice(attempts).run_id, reason="enough")
    if dice < 0.008:
        return PlanCancelRequested(plan_id=f"plan_{chance.randint(0, 3)}", reason="not wanted")
    if dice < 0.06:
        return _steering(chance, history, chance.choice(attempts))
    if dice < 0.1:
        agent = chance.choice(agents)
        health = chance.choice(("healthy", "degraded", "unhealthy"))
        return AgentStatus(agent_id=agent, lifecycle="working", health=health)
    if dice < 0.15 and old:
        return chance.choice(old)
    report = _of_attempt(chance, history, chance.choice(attempts), agents)
    old.append(report)
    return report


def _awakening(history: History) -> AnyReport | None:
    """Return what makes a paused run go on, if there is one."""
    runs = (state for _, state in sorted(history.states.items()) if isinstance(state, Run))
    paused = next((run for run in runs if run.status == "paused"), None)
    return None if paused is None else RunResumeRequested(run_id=paused.id)


def _steering(chance: random.Random, history: History, attempt: TaskDispatched) -> AnyReport:
    run_id = attempt.run_id
    run: Run = history.states[run_id]
    if run.checkpoints and chance.random() < 0.3:
        return RunRollbackRequested(run_id=run_id, checkpoint=run.checkpoints[-1].id)
    if run.status == "paused" and chance.random() < 0.7:
        return RunResumeRequested(run_id=run_id)
    ended = sorted(n for n, state in run.states.items() if state.status in ("failed", "skipped"))
    match chance.randrange(5):
        case 0:
            return RunPauseRequested(run_id=run_id, reason="lunch")
        case 1 | 2 if ended:
            return TaskRetryRequested(run_id=run_id, task_id=chance.choice(ended))
        case 3:
            return TaskSkipRequested(run_id=run_id, task_id=chance.choice(sorted(run.tasks)))
        case _:
            state = run.states[attempt.task_id]
            return TaskTimedOut(
                run_id=run_id,
                task_id=attempt.task_id,
                epoch=attempt.epoch,
                agent_id=state.agent_id or None,
                timeout="total",
            )


def _of_attempt(
    chance: random.Random, history: History, attempt: TaskDispatched, agents: Sequence[str]
) -> TaskReport:
    state = history.states[attempt.run_id].states[attempt.task_id]
    run_id, task_id, epoch = attempt.run_id, attempt.task_id, attempt.epoch
    who = state.agent_id or chance.choice(agents)
    common: dict[str, Any] = {
        "run_id": run_id,
        "task_id": task_id,
        "epoch": epoch,
        "agent_id": who,
    }
    if state.status == "dispatched" and chance.random() < 0.8:
        return TaskStarted(**common)
    dice = chance.random()
    if dice < 0.12:
        kind = "business" if chance.random() < 0.1 else "transient"
        return TaskFailed(**common, error_class=kind, reason="it broke")
    if dice < 0.2 and state.status == "started":
        return TaskLost(**common, reason="no heartbeat")
    calls = _CALLS if dice > 0.8 else ()
    return TaskCompleted(**common, result=_result(chance, task_id), calls=calls)


_CALLS = tuple(
    ModelCall(provider=provider, model="m", outcome="answered", input_tokens=9, cost=0.5)
    for provider in ("openai", "anthropic", "openai")
)


def _result(chance: random.Random, task_id: str) -> dict[str, Any]:
    if task_id == DECOMPOSE:
        return {"sub_goals": [{"domain": name, "title": f"Plan {name}"} for name in TYPES[:3]]}
    if task_id == SYNTHESIZE:
        return {"tasks": [task.model_dump(mode="json") for task in a_graph(chance, 6)]}
    return {"mass_kg": chance.random(), "by": task_id}
