"""From what views show of a run to why a task of it is not done. Pure: rows in, causes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bus.owed import Depth
from domain.causes import (
    AtWork,
    Cancelled,
    Cause,
    Explanation,
    FailedForGood,
    FallsSilent,
    HeldByBreaker,
    HeldByLimit,
    HeldInSequence,
    InHand,
    InQueue,
    Link,
    NoAgents,
    OutcomeUnknown,
    Paused,
    Root,
    SkippedBecause,
    Step,
    Unexplained,
    Unpublished,
    WaitsFor,
    WaitsForRetry,
    urgency,
)
from domain.leases import ANYBODY, WorkKind
from domain.run import ENDED, IN_FLIGHT
from domain.run_attempts import UNKNOWN_OUTCOME
from domain.run_options import RunOptions
from domain.values import Role, TaskStatus
from projections.agents import Present
from projections.attempts import AttemptRow
from projections.breakers import BreakerRow
from projections.executions import ExecutionRow
from projections.presence import Presence, TaskPresence, tasks_of
from projections.tasks import TaskRow

Holder = tuple[Presence, TaskPresence]
"""Who names a task in its heartbeats, and what it says of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmet:
    """A task that what needs it waits for, as far as that matters to who waits."""

    status: TaskStatus
    needs: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What views show of a run, as far as it matters."""

    run: ExecutionRow
    links: Mapping[str, Link]
    """What only waits for other tasks, and for which."""

    tasks: Mapping[str, TaskRow]
    """What they wait for in the end, what is asked for, and what else is under way."""

    attempts: Mapping[str, AttemptRow]
    """The open attempts at them."""

    in_flight: Mapping[str, int]
    """By agent type: how many tasks of the run are dispatched or started."""

    agents: Sequence[Present]
    """The agents of their types."""

    heartbeats: Sequence[Presence]
    """What was last heard of these agents, and of whoever has an attempt."""

    breakers: Sequence[BreakerRow]
    published: int
    """The position up to which the log has been published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What no view shows."""

    now: datetime
    lease: timedelta
    """How long agents may be silent in general."""

    depths: Mapping[WorkKind, Depth]
    """What queues hold; one that is missing could not be asked."""


def explain(seen: Seen, task_id: str, around: Surroundings) -> Explanation | None:
    """Say why a task is not done; None where it is."""
    wondering = _Wondering(seen, around)
    if wondering.cause_of(task_id) is None:
        return None
    return wondering.explain(task_id)


def explain_all(seen: Seen, around: Surroundings) -> Sequence[Step]:
    """Say what keeps the tasks that wait for no other one, the worst first."""
    wondering = _Wondering(seen, around)
    steps = [(name, wondering.cause_of(name)) for name in sorted(seen.tasks)]
    roots = [Step(task_id=n, cause=cause) for n, cause in steps if isinstance(cause, Root)]
    return sorted(roots, key=_urgency)


def links_of(unmet: Mapping[str, Unmet]) -> Mapping[str, Link]:
    """Return those of some tasks that wait for others of them, with what they wait for."""
    links: dict[str, Link] = {}
    for name, task in unmet.items():
        needs = [need for need in task.needs if need in unmet]
        if needs and task.status in ("pending", "lost"):
            links[name] = WaitsFor(tasks=needs)
        elif needs and task.status == "skipped":
            # Somebody may have made what it was skipped for pending again.
            bad = [need for need in needs if unmet[need].status in ENDED]
            links[name] = SkippedBecause(tasks=bad or needs)
    return links


def kinds_of(seen: Seen) -> Sequence[WorkKind]:
    """Return the queues whose depth matters: those that some work may wait in."""
    waiting = (each for each in seen.attempts.values() if each.state == "dispatched")
    return sorted({(each.role, each.agent_type, each.lane) for each in waiting})


def agent_type_of(task: TaskRow) -> str:
    """Return the type of agents that carries a task out, as things stand."""
    return task.instead or task.agent_type


def _urgency(step: Step) -> int:
    assert isinstance(step.cause, Root)  # noqa: S101 # it was chosen as such
    return urgency(step.cause)


class _Wondering:
    def __init__(self, seen: Seen, around: Surroundings) -> None:
        self._seen = seen
        self._around = around
        self._options = RunOptions.model_validate(seen.run.options)
        self._holders: dict[tuple[str, int, str], Holder] = {}
        for presence in sorted(seen.heartbeats, key=lambda one: one.seen_at):
            for held in tasks_of(presence):
                if held.run_id == seen.run.run_id:
                    for name in (presence.agent_id, ANYBODY):
                        self._holders[held.task_id, held.epoch, name] = (presence, held)
        self._busy = {
            name: agent_type_of(task)
            for name, task in sorted(seen.tasks.items())
            if task.status in IN_FLIGHT
        }

    def explain(self, task_id: str) -> Explanation:
        """Go down from a task, the nearest first, and choose the root that is worst."""
        came_from: dict[str, str | None] = {task_id: None}
        causes: dict[str, Cause] = {}
        order = [task_id]
        for name in order:
            cause = self.cause_of(name) or Unexplained(status="completed")
            causes[name] = cause
            for one in cause.tasks if isinstance(cause, Link) else ():
                if one not in came_from:
                    came_from[one] = name
                    order.append(one)
        roots = [Step(task_id=n, cause=causes[n]) for n in order if isinstance(causes[n], Root)]
        worst, *others = sorted(roots, key=_urgency)
        steps: list[Step] = []
        at: str | None = worst.task_id
        while at is not None:
            steps.append(Step(task_id=at, cause=causes[at]))
            at = came_from[at]
        return Explanation(steps=steps[::-1], others=others)

    def cause_of(self, task_id: str) -> Cause | None:
        """Say why a task is not done, without a look behind it; None where it is done."""
        if link := self._seen.links.get(task_id):
            return link
        task = self._seen.tasks[task_id]
        match task.status:
            case "completed":
                return None
            case "skipped":
                return None if task.is_waived else Unexplained(status=task.status)
            case "failed":
                return _failed(task)
            case "cancelled":
                return Cancelled(reason=self._seen.run.reason or "", checkpoint=self._checkpoint())
            case "dispatched" | "started":
                return self._under_way(task)
            case "pending" | "lost":
                return self._not_yet(task)

    def _not_yet(self, task: TaskRow) -> Cause:
        run = self._seen.run
        if run.status == "paused":
            return Paused(
                since=run.paused_at, reason=run.reason or "", checkpoint=self._checkpoint()
            )
        if self._options.execution_mode == "sequential":
            if self._busy:
                return HeldInSequence(tasks=list(self._busy))
        else:
            agent_type = agent_type_of(task)
            most = self._options.most_at_once(agent_type)
            if most is not None and self._seen.in_flight.get(agent_type, 0) >= most:
                under_way = [name for name, type_ in self._busy.items() if type_ == agent_type]
                return HeldByLimit(agent_type=agent_type, most=most, tasks=under_way)
        return Unexplained(status=task.status)

    def _checkpoint(self) -> str | None:
        checkpoints = self._seen.run.checkpoints
        return checkpoints[-1]["id"] if checkpoints else None

    def _under_way(self, task: TaskRow) -> Root:
        attempt = self._seen.attempts.get(task.task_id)
        if attempt is None or attempt.epoch != task.epoch:
            # Two processes keep the two views: the other one is a moment ahead, or behind.
            return self._by_task_alone(task)
        if attempt.state == "started":
            return self._started(attempt)
        return self._dispatched(task, attempt)

    def _by_task_alone(self, task: TaskRow) -> Root:
        since = task.started_at or task.dispatched_at
        if since is None:
            return Unexplained(status=task.status)
        if task.status == "started" and task.agent_id is not None:
            return AtWork(
                agent_id=task.agent_id,
                since=since,
                epoch=task.epoch,
                progress=None,
                heard_at=None,
                ends_by=None,
            )
        return self._queued((task.role, agent_type_of(task), self._seen.run.priority), since)

    def _started(self, attempt: AttemptRow) -> Root:
        agent_id = attempt.agent_id or ""
        named = self._holders.get((attempt.task_id, attempt.epoch, agent_id))
        heard_at = max(attempt.since, named[0].seen_at) if named else attempt.since
        lease = self._around.lease
        if attempt.lease_seconds is not None:
            lease = timedelta(seconds=attempt.lease_seconds)
        if self._around.now - heard_at > lease / 2:
            return FallsSilent(
                agent_id=agent_id,
                since=attempt.since,
                epoch=attempt.epoch,
                heard_at=heard_at,
                lease_until=heard_at + lease,
                is_claimed=attempt.effect == "external",
            )
        return AtWork(
            agent_id=agent_id,
            since=attempt.since,
            epoch=attempt.epoch,
            progress=named[1].progress if named else None,
            heard_at=heard_at,
            ends_by=attempt.due,
        )

    def _dispatched(self, task: TaskRow, attempt: AttemptRow) -> Root:
        due = attempt.since + timedelta(seconds=attempt.delay)
        holder = self._holders.get((attempt.task_id, attempt.epoch, ANYBODY))
        if holder and self._around.now - holder[0].seen_at <= self._around.lease:
            return InHand(
                agent_id=holder[0].agent_id,
                since=attempt.since,
                asks_claim=attempt.effect == "external",
            )
        if attempt.position > self._seen.published:
            behind = attempt.position - self._seen.published
            return Unpublished(since=attempt.since, behind=behind)
        if due > self._around.now:
            return WaitsForRetry(
                until=due,
                attempt=task.failures + 1,
                most=task.most_attempts,
                reason=task.reason or "",
            )
        return self._queued((attempt.role, attempt.agent_type, attempt.lane), due)

    def _queued(self, kind: WorkKind, since: datetime) -> Root:
        role, agent_type, lane = kind
        breaker = self._breaker(role, agent_type)
        if breaker is not None:
            return HeldByBreaker(
                agent_type=agent_type, role=role, until=breaker.until, reason=breaker.reason
            )
        mine = [
            agent
            for agent in self._seen.agents
            if (agent.row.role, agent.row.agent_type) == (role, agent_type)
        ]
        there = [agent for agent in mine if agent.status == "active"]
        depth = self._around.depths.get(kind)
        if not there and not (depth and depth.consumers):
            gone = [agent.row.agent_id for agent in mine if agent.status == "failed"]
            return NoAgents(agent_type=agent_type, role=role, since=since, gone=gone)
        return InQueue(
            agent_type=agent_type,
            role=role,
            lane=lane,
            since=since,
            depth=depth.ready if depth else None,
            agents=len(there),
            healthy=sum(agent.row.health == "healthy" for agent in there),
            busy=sum(len(agent.row.open) for agent in there),
            capacity=sum(agent.row.max_concurrent_tasks for agent in there),
        )

    def _breaker(self, role: Role, agent_type: str) -> BreakerRow | None:
        return next(
            (
                breaker
                for breaker in self._seen.breakers
                if (breaker.role, breaker.agent_type) == (role, agent_type)
                and breaker.state != "closed"
            ),
            None,
        )


def _failed(task: TaskRow) -> Root:
    reason = task.reason or ""
    if UNKNOWN_OUTCOME in reason:
        return OutcomeUnknown(reason=reason)
    return FailedForGood(error_class=task.error_class, attempts=task.failures, reason=reason)
