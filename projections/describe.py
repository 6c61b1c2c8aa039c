"""What an event says, in words: one line, and how much it should worry a reader."""

from typing import Literal, TypeAlias, assert_never

from domain.agent import AgentDeregistered, AgentRegistered, AgentStatus
from domain.audit import AuditNoted
from domain.breaker import BreakerClosed, BreakerHalfOpened, BreakerOpened
from domain.findings import PlanConflictDetected
from domain.messages import MessagePublished
from domain.plan import (
    PlanCancelled,
    PlanCompleted,
    PlanCreated,
    PlanFailed,
    PlanReady,
    PlanStarted,
)
from domain.policies import Event
from domain.reviews import PlanApproved, PlanRejected
from domain.revisions import PlanReplanning, PlanReplanRefused, PlanUpdated
from domain.run_events import (
    GatherClosed,
    ReplanRefused,
    ReplanRequested,
    ReportIgnored,
    RunCancelled,
    RunCompleted,
    RunExtended,
    RunFailed,
    RunRevised,
    RunStarted,
    TaskCancelled,
    TaskCompleted,
    TaskDispatched,
    TaskFailed,
    TaskLost,
    TaskSkipped,
    TaskStarted,
    TaskStopped,
    TaskTimedOut,
)
from domain.sender import SenderOffended, SenderReleased, SenderSuspended
from domain.steering import RunCheckpointed, RunPaused, RunResumed, RunRolledBack, TaskReopened

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")


def describe(event: Event) -> str:  # noqa: C901 # one branch an event
    """Say on one line what an event says."""
    match event:
        case PlanCreated(goal=goal):
            return f"Goal accepted: {goal.title}"
        case PlanConflictDetected(conflict=conflict):
            between = " and ".join(f"{each.domain} {each.key}" for each in conflict.origins)
            return (
                f"Conflict of {conflict.kind} about {conflict.subject}, between {between}:"
                f" {conflict.decision}"
            )
        case PlanReady(tasks=tasks, revision=revision):
            return f"Plan ready: {_counted(len(tasks), 'task')}, revision {revision}"
        case PlanApproved(revision=revision, author=author, reason=reason):
            return f"Revision {revision} approved by {author or 'somebody'}{_because(reason)}"
        case PlanRejected(revision=revision, author=author, reason=reason):
            return f"Revision {revision} rejected by {author or 'somebody'}{_because(reason)}"
        case PlanReplanning(revision=revision, reason=reason):
            return f"Another graph than revision {revision} is asked for{_because(reason)}"
        case PlanUpdated():
            return _updated(event)
        case PlanReplanRefused(revision=revision, reason=reason):
            return f"Plan stays at revision {revision}{_because(reason)}"
        case PlanStarted(run_id=run_id):
            return f"Plan is executed by {run_id}"
        case PlanCompleted(run_id=run_id):
            return f"Plan completed by {run_id}"
        case PlanFailed(reason=reason):
            return f"Plan failed: {reason}"
        case PlanCancelled(reason=reason):
            return f"Plan cancelled{_because(reason)}"
        case RunStarted(tasks=tasks, kind=kind):
            return f"{kind.capitalize()} started: {_counted(len(tasks), 'task')}"
        case RunExtended(tasks=tasks, because=because):
            return f"Graph grew by {_counted(len(tasks), 'task')} after {because}"
        case TaskDispatched():
            return _dispatched(event)
        case TaskStarted(task_id=task_id, agent_id=agent_id):
            return f"{task_id} started by {agent_id}"
        case TaskCompleted(task_id=task_id, agent_id=agent_id):
            return f"{task_id} completed by {agent_id}"
        case TaskFailed(task_id=task_id, epoch=epoch, reason=reason, error_class=error_class):
            return f"{task_id} failed in attempt {epoch} ({error_class}): {reason}"
        case TaskTimedOut(task_id=task_id, timeout=timeout):
            return f"{task_id} exceeded its {timeout} timeout"
        case TaskStopped(task_id=task_id, agent_id=agent_id):
            return f"{task_id} was let go by {agent_id}, as it was told"
        case TaskLost(task_id=task_id, epoch=epoch, agent_id=agent_id, reason=reason):
            return f"{task_id} was lost in attempt {epoch} with {agent_id}{_because(reason)}"
        case TaskSkipped(task_id=task_id, because=str() as because):
            return f"{task_id} skipped, because {because} did not end well"
        case TaskSkipped(task_id=task_id, reason=reason, rule=str()):
            return f"{task_id} skipped{_because(reason)}"
        case TaskSkipped(task_id=task_id, reason=reason):
            return f"{task_id} skipped on request{_because(reason)}"
        case TaskReopened(task_id=task_id, tasks=tasks, reason=reason):
            return f"{_counted(len(tasks), 'task')} reopened with {task_id}{_because(reason)}"
        case TaskCancelled(task_id=task_id):
            return f"{task_id} cancelled"
        case ReportIgnored(report=report, task_id=task_id, agent_id=agent_id, reason=reason):
            return f"{report} of {task_id} by {agent_id} ignored: {reason}"
        case GatherClosed(task_id=task_id, rule=rule, missing=missing):
            return f"{task_id} begins without {', '.join(missing)}, by the gather rule {rule}"
        case ReplanRequested(task_id=task_id, agent_type=agent_type, reason=reason):
            around = f" around {task_id or agent_type}" if task_id or agent_type else ""
            return f"A plan{around} is asked for{_because(reason)}"
        case ReplanRefused(reason=reason):
            return f"There is no other plan{_because(reason)}"
        case RunRevised(revision=revision, added=added, modified=modified, removed=removed):
            changes = f"{len(added)} added, {len(modified)} modified, {len(removed)} removed"
            return f"Execution goes on with revision {revision}: {changes}"
        case RunCompleted(kind=kind, missing=missing):
            without = f" without {', '.join(missing)}" if missing else ""
            return f"{kind.capitalize()} completed{without}"
        case RunCheckpointed(checkpoint=checkpoint, completed=completed):
            return f"{checkpoint} marked after {_counted(completed, 'completed task')}"
        case RunPaused(kind=kind, checkpoint=checkpoint, reason=reason):
            return f"{kind.capitalize()} paused at {checkpoint}{_because(reason)}"
        case RunResumed(kind=kind, checkpoint=checkpoint):
            return f"{kind.capitalize()} resumed{f' from {checkpoint}' if checkpoint else ''}"
        case RunRolledBack(kind=kind, checkpoint=checkpoint, tasks=tasks):
            undone = _counted(len(tasks), "task")
            return f"{kind.capitalize()} rolled back to {checkpoint}: {undone} to do again"
        case RunFailed(kind=kind, reason=reason):
            return f"{kind.capitalize()} failed: {reason}"
        case RunCancelled(kind=kind, reason=reason):
            return f"{kind.capitalize()} cancelled{_because(reason)}"
        case AgentRegistered(agent_id=agent_id, agent_type=agent_type):
            return f"{agent_id} registered as {agent_type}"
        case AgentStatus(agent_id=agent_id, lifecycle=lifecycle, health=health, reason=reason):
            return f"{agent_id} is {lifecycle} and {health}{_because(reason)}"
        case AgentDeregistered(agent_id=agent_id, reason=reason):
            return f"{agent_id} deregistered{_because(reason)}"
        case BreakerOpened(agent_type=agent_type, role=role, reason=reason, until=until):
            return f"New {role} work for {agent_type} waits until {until:%H:%M:%S} UTC: {reason}"
        case BreakerHalfOpened(agent_type=agent_type, role=role):
            return f"The next {role} work for {agent_type} is a probe"
        case BreakerClosed(agent_type=agent_type, role=role, reason=reason):
            return f"{role.capitalize()} work for {agent_type} waits no more{_because(reason)}"
        case SenderOffended(sender=sender, reason=reason, detail=detail):
            return f"{sender} was refused as {reason}{_because(detail)}"
        case SenderSuspended(sender=sender, offences=offences, until=until):
            times = _counted(offences, "offence")
            return f"{sender} is suspended until {until:%H:%M:%S} UTC after {times}"
        case SenderReleased(sender=sender, reason=reason):
            return f"{sender} is suspended no more{_because(reason)}"
        case AuditNoted(act=act, outcome=outcome, subject=subject, detail=detail):
            return f"{act} {outcome} for {subject}{_because(detail)}"
        case MessagePublished(topic=topic, message_id=message_id):
            return f"Message {message_id} published: {topic}"
        case _:
            assert_never(event)


def level_of(event: Event) -> Level:
    """Say how much an event should worry a reader."""
    match event:
        case TaskFailed(error_class="transient") | TaskLost() | TaskSkipped() | ReportIgnored():
            return "warning"
        case TaskFailed() | RunFailed() | PlanFailed():
            return "error"
        case TaskDispatched(epoch=epoch):
            return "debug" if epoch == 1 else "warning"
        case RunCancelled() | PlanCancelled() | RunRolledBack() | TaskTimedOut():
            return "warning"
        case PlanReplanning() | PlanReplanRefused() | ReplanRefused() | PlanRejected():
            return "warning"
        case ReplanRequested() | RunPaused() | GatherClosed() | PlanConflictDetected():
            return "warning"
        case AuditNoted(outcome="refused"):
            return "warning"
        case AgentStatus(health="degraded" | "unhealthy" | "offline") | BreakerOpened():
            return "warning"
        case SenderOffended() | SenderSuspended():
            return "warning"
        case _:
            return "info"


def _updated(event: PlanUpdated) -> str:
    changes = (
        f"{len(event.added)} added, {len(event.modified)} modified, {len(event.removed)} removed"
    )
    return f"Plan has revision {event.revision}: {changes}{_because(event.reason)}"


def _dispatched(event: TaskDispatched) -> str:
    if event.epoch == 1:
        return f"{event.task_id} dispatched to {event.agent}: {event.name}"
    wait = f" in {event.delay} s" if event.delay else ""
    return f"{event.task_id} retried{wait} as attempt {event.epoch}, by any {event.agent}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""
