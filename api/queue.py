"""The queue: one task for whoever does it next, and how long the lines are."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, Field

from api.access import May
from api.asked import Asked
from api.deps import Deps, Ports
from api.durations import human_or_none
from api.errors import NotYetThere
from api.ownership import owners_of
from api.reading import POSITION, Reading, Snapshot, snapshot, wait_for
from bus.depths import work_depths
from domain.errors import UnknownRun
from domain.identity import Caller
from domain.leases import WorkKind
from domain.recorded import derived_id
from domain.run_events import RunRequested
from domain.tasks import Effect, RetryPolicy, Task, Timeouts
from domain.usage import Budget
from domain.values import (
    Action,
    AgentType,
    JsonObject,
    Lane,
    Priority,
    Role,
    RunId,
    TaskId,
    TaskStatus,
)
from projections.agents import AGENTS
from projections.attempts import ATTEMPTS, read_attempts
from projections.capability import Unserved, read_unserved
from projections.executions import EXECUTIONS, read_execution
from projections.lines import LANES, Line, count_ahead, read_lines
from projections.tasks import TASKS, read_tasks

router = APIRouter(prefix="/queue", tags=["queue"])

PATIENCE = 1.0
"""Seconds to wait until the place of what was enqueued can be told."""

MOST_QUEUES = 400
"""How many queues the broker is asked about at most."""


class EnqueueRequest(Asked):
    """One task, for any agent of its type."""

    task_id: TaskId
    agent_type: AgentType
    action: Action = "work"
    """What an agent is to do; DOC0's request does not name it."""

    priority: Priority = "normal"
    payload: JsonObject = Field(default_factory=dict)
    """What the action needs to know: the ``params`` of the task."""

    retry: RetryPolicy = RetryPolicy()
    timeouts: Timeouts = Timeouts()
    effect: Effect = "none"
    fallback: AgentType | None = None
    budget: Budget | None = None


class Place(BaseModel):
    """Where a task stands in its line."""

    position: int | None
    """1 is next; 0 when an agent has begun, or it is over; null where nobody can tell now."""

    estimated_wait: str | None
    estimated_wait_seconds: float | None
    """Until an agent begins; null where no agent is there, or none has done such work yet."""


class EnqueuedAnswer(Place):
    """A task waits for an agent."""

    queue_id: str
    task_id: str
    execution_id: str
    """The execution that has this one task."""

    unserved: Sequence[Unserved]
    """Why nobody will do it, as things stand."""


class QueueItemAnswer(Place):
    """A task that was enqueued."""

    queue_id: str
    task_id: str
    execution_id: str
    status: TaskStatus
    agent_type: str
    agent_id: str | None
    result: JsonObject | None
    reason: str | None


class LaneAnswer(BaseModel):
    """Work of one priority."""

    priority: Lane
    pending_tasks: int
    """What no agent has begun, by the record."""

    in_queue: int | None
    """What of it no agent has in hand, as the broker says; null while it does not answer."""


class QueueAnswer(BaseModel):
    """The work for agents of one role and type."""

    agent_type: str
    role: Role
    pending_tasks: int
    processing_tasks: int
    delayed_tasks: int
    """What waits for its next attempt to be due."""

    avg_wait_time: str | None
    avg_wait_time_seconds: float | None
    """How long work has waited of late; null where none was done."""

    estimated_wait: str | None
    estimated_wait_seconds: float | None
    """How long normal work would wait that came now."""

    active_agents: int
    places: int
    """How many tasks they take at once, all together."""

    lanes: Sequence[LaneAnswer]


class QueuesAnswer(BaseModel):
    """All queues of work."""

    queues: Sequence[QueueAnswer]
    degraded: str | None
    """What is missing in this answer, and why; null where nothing is."""


@router.post("/enqueue", status_code=202)
async def enqueue_task(
    asked: EnqueueRequest,
    ports: Ports,
    response: Response,
    caller: Annotated[Caller, Depends(May("queue:write"))],
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=200, description="Asked twice, done once.")
    ] = None,
) -> EnqueuedAnswer:
    """Let one task be done by an agent of its type: it is recorded, leased and tried again."""
    named = f"{caller.actor}/{idempotency_key}/{asked.task_id}"
    run_id = f"exec_{derived_id(named, 'queue') if idempotency_key else ports.new_id()}"
    task = Task(
        id=asked.task_id,
        name=asked.task_id,
        agent=asked.agent_type,
        action=asked.action,
        params=asked.payload,
        retry=asked.retry,
        timeouts=asked.timeouts,
        effect=asked.effect,
        fallback=asked.fallback,
        budget=asked.budget,
    )
    outcome = await ports.say(
        RunRequested(run_id=run_id, priority=asked.priority, tasks=(task,)),
        actor=caller.actor,
        report_id=derived_id(run_id, "run.requested"),
    )
    place = await _place_soon(ports, run_id, asked, outcome.position)
    async with snapshot(ports, AGENTS) as read:
        unserved = await read_unserved(read.connection, (task,))
    response.headers["Location"] = f"/api/v1/queue/{run_id}"
    if outcome.events:
        response.headers[POSITION] = str(outcome.position)
    return EnqueuedAnswer(
        queue_id=run_id,
        task_id=asked.task_id,
        execution_id=run_id,
        unserved=unserved,
        **dict(place),
    )


@router.get("/status")
async def show_queues(
    views: Reading,
    ports: Ports,
    caller: Annotated[Caller, Depends(May("queue:read"))],
    agent_type: Annotated[AgentType | None, Query()] = None,
) -> QueuesAnswer:
    """Show how much work waits for each type of agents, and for how long."""
    del caller
    async with views.snapshot(ATTEMPTS, TASKS, AGENTS) as read:
        lines = await read_lines(read.connection, now=ports.clock.now(), agent_type=agent_type)
    kinds: list[WorkKind] = [(role, kind, lane) for role, kind in lines for lane in LANES]
    depths = await work_depths(ports.depths, kinds, most=MOST_QUEUES)
    lacking = len(kinds) - len(depths)
    return QueuesAnswer(
        queues=[
            QueueAnswer(
                agent_type=agent_type,
                role=role,
                pending_tasks=line.pending,
                processing_tasks=line.started,
                delayed_tasks=line.delayed,
                avg_wait_time=human_or_none(line.waited),
                avg_wait_time_seconds=_rounded(line.waited),
                estimated_wait=human_or_none(wait := _usual_wait(line)),
                estimated_wait_seconds=_rounded(wait),
                active_agents=line.agents,
                places=line.places,
                lanes=[
                    LaneAnswer(
                        priority=lane,
                        pending_tasks=line.waiting.get(lane, 0),
                        in_queue=depth.ready
                        if (depth := depths.get((role, agent_type, lane)))
                        else None,
                    )
                    for lane in LANES
                ],
            )
            for (role, agent_type), line in lines.items()
        ],
        degraded=f"the broker does not say what {lacking} queues hold" if lacking else None,
    )


@router.get("/{queue_id}")
async def show_queue_item(
    queue_id: Annotated[RunId, Path()],
    request: Request,
    views: Reading,
    ports: Ports,
    caller: Annotated[Caller, Depends(May("queue:write"))],
) -> QueueItemAnswer:
    """Show where a task stands that was enqueued; for those who may see every execution."""
    await owners_of(request).require(ports, caller, "plan:read", run_id=queue_id)
    async with views.snapshot(EXECUTIONS, TASKS, ATTEMPTS, AGENTS) as read:
        run = await read_execution(read.connection, queue_id)
        if run is None or run.plan_id is not None:
            raise UnknownRun(queue_id)
        task = (await read_tasks(read.connection, queue_id))[0]
        place = await _place(read, ports, queue_id, task.task_id)
    if place.position == 0 and task.status in ("pending", "dispatched", "lost"):
        place.position = None  # its run is paused, or the attempts are followed later than the rest
    return QueueItemAnswer(
        queue_id=queue_id,
        task_id=task.task_id,
        execution_id=queue_id,
        status=task.status,
        agent_type=task.instead or task.agent_type,
        agent_id=task.agent_id,
        result=task.result,
        reason=task.reason,
        **dict(place),
    )


async def _place_soon(ports: Deps, run_id: str, asked: EnqueueRequest, position: int) -> Place:
    """Return the place of what was just recorded, as far as it can be told soon."""
    try:
        async with asyncio.timeout(PATIENCE):
            await wait_for(ports, position, ATTEMPTS)
    except (TimeoutError, NotYetThere):
        return await _place_at_broker(ports, asked)
    async with snapshot(ports, ATTEMPTS, TASKS, AGENTS) as read:
        return await _place(read, ports, run_id, asked.task_id)


async def _place_at_broker(ports: Deps, asked: EnqueueRequest) -> Place:
    """Return the place behind all that the broker holds: the record is not followed now."""
    before = LANES[: LANES.index(asked.priority) + 1]
    kinds: list[WorkKind] = [("execution", asked.agent_type, lane) for lane in before]
    depths = await work_depths(ports.depths, kinds)
    is_told = len(depths) == len(kinds)
    return Place(
        position=1 + sum(depth.ready for depth in depths.values()) if is_told else None,
        estimated_wait=None,
        estimated_wait_seconds=None,
    )


async def _place(read: Snapshot, ports: Deps, run_id: str, task_id: str) -> Place:
    now = ports.clock.now()
    attempt = next(iter(await read_attempts(read.connection, [(run_id, task_id)])), None)
    if attempt is None or attempt.state == "started":
        return Place(position=0, estimated_wait=None, estimated_wait_seconds=None)
    kind = (attempt.role, attempt.agent_type)
    ahead = await count_ahead(
        read.connection, kind, attempt.lane, position=attempt.position, now=now
    )
    lines = await read_lines(read.connection, now=now, agent_type=attempt.agent_type)
    line = lines.get(kind, Line())
    wait = line.wait_behind(ahead)
    return Place(
        position=ahead + 1,
        estimated_wait=human_or_none(wait),
        estimated_wait_seconds=_rounded(wait),
    )


def _usual_wait(line: Line) -> float | None:
    """Return how long normal work would wait that came now."""
    return line.wait_behind(line.pending - line.waiting.get("low", 0))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
