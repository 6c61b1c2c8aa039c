"""What a history of ordinary days does not have: replanning, reviews, steering, goodbyes, messages.

Each stream of it has ended, so that whoever owns it can be forgotten.
"""

from collections.abc import Sequence
from dataclasses import replace

from domain.agent import AgentDeregistered, AgentRegistered, agent_stream
from domain.audit import AuditNoted, audit_stream
from domain.goals import Goal, Options
from domain.messages import MessagePublished, message_stream
from domain.plan import PlanCreated, PlanFailed
from domain.policies import Event
from domain.recorded import Recorded
from domain.reviews import PlanApproved, PlanRejected
from domain.revisions import PlanReplanning, PlanReplanRefused, PlanUpdated
from domain.run_events import (
    ReplanRefused,
    ReplanRequested,
    ReportIgnored,
    RunCancelled,
    RunFailed,
    RunRevised,
    RunStarted,
    TaskDispatched,
    TaskFailed,
    TaskSkipped,
    TaskStarted,
    TaskStopped,
)
from domain.run_options import RunOptions
from domain.steering import RunCheckpointed, RunRolledBack, TaskReopened
from domain.tasks import Task
from domain.usage import ModelCall
from tests.support.recording import recorded
from tests.support.scenario import NOW

PLAN, RUN, AGENT = "plan_unsung", "exec_unsung-1", "unsung"
_GOAL = Goal(title="A chair", description="to sit on", context={"legs": 4})
_TASK = Task(id="a", name="Saw", agent="NOOP", params={"wood": "oak"}, origin="META: by hand")
_CALLS = (ModelCall(provider="p", model="m", outcome="failed", reason="no answer"),)


def unsung(actor: str) -> Sequence[Recorded[Event]]:
    """Return all of it, as if one actor had said it."""
    return [
        replace(recorded(stream, version, event), actor=actor, position=0)
        for stream, events in _STREAMS.items()
        for version, event in enumerate(events, start=1)
    ]


_ATTEMPT = {"run_id": RUN, "task_id": "a", "epoch": 1, "agent_id": AGENT}
_RUN = {"run_id": RUN, "plan_id": PLAN, "kind": "execution"}
_REPLANNING = PlanReplanning(
    plan_id=PLAN, run_id=RUN, planning_run="exec_unsung-replan-1", goal=_GOAL, options=Options(),
    priority="normal", revision=1, tasks=(_TASK,), met=(), has_own_graph=True, task_id="a",
    agent_type=None, reason="it broke",
)  # fmt: skip
_UPDATED = PlanUpdated(
    plan_id=PLAN, run_id=RUN, revision=2, tasks=(_TASK,), added=("a",), removed=(), modified=(),
    reason="it broke", notes=("no saw",), delay=0, cost=0, author="Ada",
)  # fmt: skip
_APPROVED = PlanApproved(
    plan_id=PLAN, revision=2, author="Ada", reason="well", tasks=(_TASK,), priority="normal",
    auto_execute=False, run=RunOptions(),
)  # fmt: skip
_DISPATCHED = TaskDispatched(
    run_id=RUN, plan_id=PLAN, task_id="a", epoch=1, agent="NOOP", role="execution", lane="normal",
    name="Saw", action="work", params={"wood": "oak"}, inputs={"plank": {"cm": 40}},
)  # fmt: skip
_STREAMS: dict[str, Sequence[Event]] = {
    PLAN: [
        PlanCreated(plan_id=PLAN, goal=_GOAL, options=Options(), planned=True),
        _REPLANNING,
        PlanReplanRefused(plan_id=PLAN, run_id=RUN, revision=1, reason="no other way"),
        _UPDATED,
        _APPROVED,
        PlanRejected(plan_id=PLAN, revision=2, author="Ada", reason="ugly"),
        PlanFailed(plan_id=PLAN, run_id=RUN, reason="it broke"),
    ],
    RUN: [
        RunStarted(**_RUN, revision=1, priority="normal", tasks=(_TASK,)),
        _DISPATCHED,
        TaskStarted(**_ATTEMPT),
        ReportIgnored(
            **_ATTEMPT, report="task.failed", reason="late", result={"x": 1}, calls=_CALLS
        ),
        TaskStopped(**_ATTEMPT, calls=_CALLS),
        TaskFailed(**_ATTEMPT, reason="it broke", calls=_CALLS),
        RunCheckpointed(run_id=RUN, checkpoint="checkpoint_001", at=NOW, completed=0),
        TaskReopened(run_id=RUN, task_id="a", tasks=("a",), failed=1, reason="again"),
        ReplanRequested(run_id=RUN, plan_id=PLAN, task_id="a", reason="it broke"),
        ReplanRefused(run_id=RUN, plan_id=PLAN, reason="no other way"),
        RunRevised(
            run_id=RUN, plan_id=PLAN, revision=2, reason="it broke", modified=(_TASK,), removed=(),
            added=(_TASK.model_copy(update={"id": "b"}),), reopened=(), was={"a": "pending"},
        ),
        RunRolledBack(
            **_RUN, checkpoint="checkpoint_001", reason="back", tasks=(), completed=0, skipped=0
        ),
        TaskSkipped(run_id=RUN, task_id="b", because=None, reason="never mind"),
        RunFailed(**_RUN, reason="it broke"),
        RunCancelled(**_RUN, reason="enough"),
    ],
    agent_stream(AGENT): [
        AgentRegistered(agent_id=AGENT, agent_type="NOOP", instance="i"),
        AgentDeregistered(agent_id=AGENT, instance="i", reason="on leave"),
    ],
    audit_stream("2026-01-20"): [
        AuditNoted(day="2026-01-20", act="login", subject="ada", detail="x", address="192.0.2.7")
    ],
    message_stream("unsung"): [
        MessagePublished(message_id="unsung", topic="chair.sold", payload={"to": "Bob"})
    ],
}  # fmt: skip
