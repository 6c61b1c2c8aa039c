"""Invocations: one agent is asked to do one thing now, and its answer is the answer."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from api.access import May
from api.asked import Asked
from api.deps import Ports
from api.durations import human, human_or_none
from api.errors import AgentBusy, UnknownAction
from api.reading import snapshot
from bus.asking import AgentNotThere, Question
from bus.depths import BrokerUnavailable
from bus.requests import AgentAnswer, Seconds
from domain.errors import Refused, TooHeavy, UnknownAgent
from domain.identity import Caller
from domain.scheduling.critical_path import critical_path
from domain.tasks import Task
from domain.teams import PLAN
from domain.usage import ModelCall
from domain.values import Action, AgentId, Duration, ErrorClass, JsonObject, Role
from domain.weights import LARGEST_PARAMS, weight
from projections.agents import AGENTS, AgentRow, read_agent

router = APIRouter(prefix="/agents", tags=["agents"])

_DURATION = TypeAdapter(Duration)


class InvokeRequest(Asked):
    """What an agent is asked to do."""

    action: Action
    payload: JsonObject = Field(default_factory=dict)
    """What the action needs to know: a task would have it as its ``params``."""

    timeout: Seconds = 10.0
    """How many seconds to wait for the answer."""


class InvokeProblem(BaseModel):
    """Why an action has failed."""

    error_class: ErrorClass
    """After a ``transient`` failure it may help to ask again."""

    reason: str


class InvokeAnswer(BaseModel):
    """What an agent has answered."""

    agent_id: str
    action: str
    status: Literal["completed", "failed"]
    """Where it has failed, ``error`` says why, and there is no result."""

    result: JsonObject | None
    error: InvokeProblem | None
    execution_time: str
    execution_time_seconds: float
    """How long it took at the agent."""

    calls: Sequence[ModelCall]
    """The calls of language models that it made."""


@router.post("/{agent_id}/invoke")
async def invoke_agent(
    agent_id: Annotated[AgentId, Path()],
    asked: InvokeRequest,
    ports: Ports,
    caller: Annotated[Caller, Depends(May("queue:write"))],
) -> InvokeAnswer:
    """Let one agent do one thing now; nothing of it is recorded."""
    if (has := weight(asked.payload)) > LARGEST_PARAMS:
        raise TooHeavy("the payload is too much", has, LARGEST_PARAMS)
    async with snapshot(ports, AGENTS) as read:
        agent = await read_agent(read.connection, agent_id)
    if agent is None:
        raise UnknownAgent(agent_id)
    if agent.status != "active":
        raise AgentNotThere(agent_id, f"is {agent.status}: {agent.row.reason or 'it has left'}")
    _require_action(agent.row, asked.action)
    if ports.asks is None:
        raise BrokerUnavailable(ConnectionError("this process has no connection to it"))
    question = Question(
        agent_id=agent_id,
        role=agent.row.role,
        agent_type=agent.row.agent_type,
        action=asked.action,
        payload=asked.payload,
        timeout=asked.timeout,
        actor=caller.actor,
    )
    answer = await ports.asks.ask(question)
    return _answered(answer, asked.action, agent.row.role)


def _require_action(row: AgentRow, action: str) -> None:
    """Refuse an action that the agent does not name; one that names none is trusted.

    Raises:
        UnknownAction: It has no such action.
    """
    known = row.metadata.get("actions")
    if isinstance(known, list) and not {action, "*"} & set(map(str, known)):
        raise UnknownAction(f"agent {row.agent_id} has no action {action}; it has {known}")


def _answered(answer: AgentAnswer, action: str, role: Role) -> InvokeAnswer:
    if answer.status == "busy":
        raise AgentBusy(f"agent {answer.agent_id} is busy: {answer.reason}")
    if answer.status == "refused":
        raise UnknownAction(answer.reason)
    result = answer.result
    if result is not None and (role, action) == ("planning", PLAN):
        result = _plan(result)
    return InvokeAnswer(
        agent_id=answer.agent_id,
        action=action,
        status=answer.status,
        result=result,
        error=None
        if answer.status == "completed"
        else InvokeProblem(error_class=answer.error_class or "transient", reason=answer.reason),
        execution_time=human(answer.seconds),
        execution_time_seconds=round(answer.seconds, 3),
        calls=answer.calls,
    )


def _plan(proposed: JsonObject) -> JsonObject:
    """Return a planner's answer with how long what it proposes would take, as far as it says so."""
    seconds = _makespan(proposed)
    return {
        "plan": proposed,
        "estimated_duration": human_or_none(seconds),
        "estimated_duration_seconds": seconds,
    }


def _makespan(proposed: JsonObject) -> float | None:
    """Return the seconds from the first proposed task to the end of the last, if agents abound."""
    try:
        proposals = [
            cast("Mapping[str, Any]", each) for each in cast("list[Any]", proposed["tasks"])
        ]
        makers = {what: each["key"] for each in proposals for what in each.get("produces", ())}
        known = {each["key"] for each in proposals}
        tasks = [
            Task(
                id=each["key"],
                name=each["key"],
                agent="PROPOSED",
                depends_on=tuple(
                    {
                        *(known & set(each.get("after", ()))),
                        *(makers[what] for what in each.get("needs", ()) if what in makers),
                    }
                    - {each["key"]}
                ),
                duration=_DURATION.validate_python(each["duration"]),
            )
            for each in proposals
        ]
        seconds = critical_path(tasks).makespan
    except (Refused, ValidationError, KeyError, TypeError, AttributeError):
        return None  # the agent's form is its own
    return seconds if math.isfinite(seconds) else None
