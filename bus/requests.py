"""Requests: one agent is asked to do one thing now, and answers whoever asked.

A request is no task: nobody records it, nobody repeats it, and it ends with the patience of who
asked. It travels on ``taskloom.work`` under ``agent.<role>.<type>.<agent id>``, to an exclusive
queue of the agent, so that no queue takes it when the agent is not there. The answer travels on
``taskloom.signals`` under the key that the request names: an agent that may publish to whichever
queue it likes, as replies elsewhere need it, could send work to others.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from bus.messages import Message
from bus.signals import read_signal
from bus.topology import SIGNALS, WORK
from domain.usage import Calls
from domain.values import (
    Action,
    AgentId,
    AgentType,
    ErrorClass,
    JsonObject,
    Name,
    Role,
    Text,
    Value,
)

MOST_SECONDS: Final = 120.0
"""How long somebody may wait for an answer."""

Seconds = Annotated[float, Field(gt=0, le=MOST_SECONDS, allow_inf_nan=False)]
AnswerStatus = Literal["completed", "failed", "busy", "refused"]
"""``busy``: it has no place for it now. ``refused``: it has no such action."""


class AgentInvoke(Value):
    """Somebody wants an agent to do something now."""

    type: Literal["agent.invoke"] = "agent.invoke"
    request_id: Name
    agent_id: AgentId
    action: Action
    payload: JsonObject = Field(default_factory=dict)
    timeout: Seconds
    """Nobody waits for the answer for longer than that."""

    reply_to: Name
    """The key on ``taskloom.signals`` that the answer goes to."""

    actor: Name
    """Who asks."""


class AgentAnswer(Value):
    """What an agent answers to a request."""

    type: Literal["agent.answer"] = "agent.answer"
    request_id: Name
    agent_id: AgentId
    status: AnswerStatus
    result: JsonObject | None = None
    error_class: ErrorClass | None = None
    """Where it failed: only after a transient failure it can help to ask again."""

    reason: Text = ""
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """How long it took at the agent."""

    calls: Calls = ()
    """The calls of language models that it made."""


def request_key(role: Role, agent_type: AgentType, agent_id: AgentId) -> str:
    """Return the routing key of requests to an agent."""
    return f"agent.{role}.{agent_type.lower()}.{agent_id}"


def request_queue(role: Role, agent_type: AgentType, agent_id: AgentId) -> str:
    """Return what the names of the queues begin with that an agent hears its requests from."""
    return f"{WORK}.{role}.{agent_type.lower()}.agent.{agent_id}"


def encode_request(request: AgentInvoke, *, key: str) -> Message:
    """Return a request as it is published: it comes back where no agent takes it."""
    return Message(
        exchange=WORK,
        key=key,
        body=request.__pydantic_serializer__.to_json(request),
        message_id=request.request_id,
        type=request.type,
        content_type="application/json",
        is_persistent=False,
    )


def decode_request(raw: bytes) -> AgentInvoke:
    """Return the request that a message holds.

    Raises:
        Unreadable: It holds none.
    """
    return read_signal(raw, _REQUESTS)


def encode_answer(answer: AgentAnswer, *, key: str, message_id: str) -> Message:
    """Return an answer as it is published; whoever asked may have gone."""
    return Message(
        exchange=SIGNALS,
        key=key,
        body=answer.__pydantic_serializer__.to_json(answer),
        message_id=message_id,
        type=answer.type,
        content_type="application/json",
        mandatory=False,
        is_persistent=False,
    )


def decode_answer(raw: bytes) -> AgentAnswer:
    """Return the answer that a message holds.

    Raises:
        Unreadable: It holds none.
    """
    return read_signal(raw, _ANSWERS)


_REQUESTS: Final[Mapping[str, type[AgentInvoke]]] = {"agent.invoke": AgentInvoke}
_ANSWERS: Final[Mapping[str, type[AgentAnswer]]] = {"agent.answer": AgentAnswer}
