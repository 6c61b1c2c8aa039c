"""The messages whose encoded form is kept beside this file: new ones are added, none is changed."""

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.agent import AgentDeregistered, AgentRegistered, AgentStatus, Capacity
from domain.audit import AuditNoted
from domain.breaker import BreakerOpened
from domain.goals import Constraints, Goal, Options
from domain.plan import GoalSubmitted, PlanCancelRequested, PlanCreated
from domain.recorded import Recorded, Report
from domain.reviews import PlanReviewed
from domain.revisions import PlanReplanRequested
from domain.run_events import TaskCompleted, TaskDispatched, TaskFailed, TaskStarted, TaskStopped
from domain.steering import (
    RunCancelRequested,
    RunPauseRequested,
    RunReplanRequested,
    RunResumeRequested,
    RunRollbackRequested,
    TaskRetryRequested,
    TaskSkipRequested,
)
from domain.tasks import RetryPolicy, Task
from domain.values import Value

AT = datetime(2026, 3, 1, 12, 30, 45, 123456, UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
GOAL = Goal(
    title="Design a brake caliper",
    description="Straße ☃",
    constraints=Constraints.model_validate({"timeline": "30 days", "budget": 1e5, "colour": "red"}),
    priority="high",
    context={"mass_kg": 1600, "nothing": None, "nested": [{"a": [1, 2.5, "x"]}]},
)
TASK = Task(
    id="task_001",
    name="Model the housing",
    agent="CAD",
    action="model",
    params={"x": 1},
    depends_on=("task_000",),
    inputs={"geometry": "task_000"},
    duration=timedelta(hours=36, seconds=1),
    cost=12.5,
    retry=RetryPolicy(attempts=3),
)
ATTEMPT = {"run_id": "exec_1-1", "task_id": "task_001", "epoch": 2, "agent_id": "cad_worker_001"}


def _report(
    number: int, body: Value, stream: str, actor: str = "agents/cad_worker_001"
) -> Report[Any]:
    return Report(
        id=f"report-{number}",
        stream=stream,
        body=body,
        said_at=AT,
        actor=actor,
        correlation_id="correlation-1",
        causation_id="event-7" if number % 2 else None,
        traceparent=TRACE if number % 2 else None,
    )


def _recorded(number: int, event: Value, stream: str) -> Recorded[Any]:
    return Recorded(
        id=f"event-{number}",
        position=5_000_000_000 + number,
        stream=stream,
        version=number,
        event=event,
        at=AT,
        actor="agents/cad_worker_001",
        correlation_id="correlation-1",
        causation_id="report-1" if number % 2 else None,
        traceparent=TRACE if number % 2 else None,
    )


REPORTS: dict[str, Report[Any]] = {
    "report-goal.submitted": _report(
        1,
        GoalSubmitted(plan_id="plan_1", goal=GOAL, options=Options(), tasks=(TASK,)),
        "plan_1",
        "users/ada",
    ),
    "report-plan.cancel_requested": _report(
        2, PlanCancelRequested(plan_id="plan_1", reason="enough"), "plan_1", "https://erp.example/7"
    ),
    "report-task.started": _report(3, TaskStarted(**ATTEMPT), "exec_1-1"),
    "report-task.completed": _report(
        4, TaskCompleted(**ATTEMPT, result={"mass_kg": 3.2, "summary": "3.2 kg"}), "exec_1-1"
    ),
    "report-task.failed": _report(
        5, TaskFailed(**ATTEMPT, error_class="validation", reason="no bore"), "exec_1-1"
    ),
    "report-task.stopped": _report(9, TaskStopped(**ATTEMPT), "exec_1-1"),
    "report-run.pause_requested": _report(
        10, RunPauseRequested(run_id="exec_1-1", reason="lunch"), "exec_1-1", "users/ada"
    ),
    "report-run.resume_requested": _report(
        11, RunResumeRequested(run_id="exec_1-1"), "exec_1-1", "users/ada"
    ),
    "report-run.cancel_requested": _report(
        12, RunCancelRequested(run_id="exec_1-1", reason="enough"), "exec_1-1", "users/ada"
    ),
    "report-run.rollback_requested": _report(
        13,
        RunRollbackRequested(run_id="exec_1-1", checkpoint="checkpoint_001"),
        "exec_1-1",
        "users/ada",
    ),
    "report-task.retry_requested": _report(
        14, TaskRetryRequested(run_id="exec_1-1", task_id="task_001"), "exec_1-1", "users/ada"
    ),
    "report-task.skip_requested": _report(
        15, TaskSkipRequested(run_id="exec_1-1", task_id="task_001"), "exec_1-1", "users/ada"
    ),
    "report-agent.registered": _report(
        6,
        AgentRegistered(
            agent_id="cad_worker_001",
            agent_type="CAD",
            capabilities=("model",),
            capacity=Capacity(max_concurrent_tasks=16),
            metadata={"host": "here"},
            instance="f00d",
        ),
        "agent:cad_worker_001",
    ),
    "report-run.replan_requested": _report(
        21,
        RunReplanRequested(
            run_id="exec_1-1",
            reason="the customer wants it sooner",
            max_delay=3_600,
            request="replan-1",
        ),
        "exec_1-1",
    ),
    "report-plan.reviewed": _report(
        23,
        PlanReviewed(
            plan_id="plan_1", verdict="approve", revision=2, author="ada", reason="well thought"
        ),
        "plan_1",
    ),
    "report-plan.replan_requested": _report(
        22, PlanReplanRequested(plan_id="plan_1", reason="too dear", author="ada"), "plan_1"
    ),
    "report-agent.status": _report(
        7,
        AgentStatus(
            agent_id="cad_worker_001", lifecycle="working", health="degraded", reason="hot"
        ),
        "agent:cad_worker_001",
    ),
    "report-agent.deregistered": _report(
        8, AgentDeregistered(agent_id="cad_worker_001", instance="f00d"), "agent:cad_worker_001"
    ),
}

EVENTS: dict[str, Recorded[Any]] = {
    "event-plan.created": _recorded(
        1, PlanCreated(plan_id="plan_1", goal=GOAL, options=Options()), "plan_1"
    ),
    "event-task.dispatched.2": _recorded(
        2,
        TaskDispatched(
            run_id="exec_1-1",
            plan_id="plan_1",
            task_id="task_001",
            epoch=2,
            agent="CAD",
            role="execution",
            lane="high",
            name="Model the housing",
            action="model",
            params={"x": 1},
            inputs={"geometry": {"bore_mm": 42}},
            delay=4,
        ),
        "exec_1-1",
    ),
    "event-task.completed": _recorded(
        3, TaskCompleted(**ATTEMPT, result={"mass_kg": 3.2}), "exec_1-1"
    ),
    "event-breaker.opened": _recorded(
        4,
        BreakerOpened(
            role="execution",
            agent_type="CAD",
            reason="12 of 20 attempts failed within 30 s; the last: no licence",
            ended=20,
            failed=12,
            trips=2,
            until=AT,
        ),
        "breaker:execution.CAD",
    ),
    "event-audit.noted": _recorded(
        5,
        AuditNoted(
            day="2026-11-27",
            act="login",
            outcome="refused",
            subject="ada",
            detail="wrong password",
            address="127.0.0.1",
        ),
        "audit:2026-11-27",
    ),
}

EARLIER: dict[str, Recorded[Any]] = {"event-task.dispatched": EVENTS["event-task.dispatched.2"]}
"""What is not written like that any more, and is read for ever."""
