"""Signals: what is said often, believed for a moment and never recorded.

They travel on ``taskloom.signals`` without confirmation that anybody heard them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

from pydantic import Field, ValidationError

from bus.messages import Message
from bus.refusals import BadSchema, NotAnObject
from bus.signing import Said, SigningKey, signature_headers
from bus.strict_json import loads_strict
from bus.tolerance import validate_tolerantly
from bus.topology import SIGNALS
from domain.agent import Lifecycle
from domain.values import AgentId, AgentType, Epoch, Name, Role, RunId, TaskId, Text, Value
from domain.wrong import first_wrong

HEARTBEAT: Final = "agent.heartbeat"
ECHO: Final = "keeper.echo"
S = TypeVar("S", bound=Value)

Share: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Load: TypeAlias = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class HeldTask(Value):
    """An attempt that an agent has, as far as it has come."""

    run_id: RunId
    task_id: TaskId
    epoch: Epoch
    progress: Share = 0.0
    state: Literal["waiting", "claiming", "running"]
    """Claiming: its start is reported, and its external effect waits until that is recorded."""


class Dependency(Value):
    """Something an agent needs and has stopped asking, because it does not answer."""

    name: Name
    state: Literal["open", "half_open"]
    reason: Text = ""


class Heartbeat(Value):
    """An agent lives, and this is what it has in hand: its leases are those it names."""

    type: Literal["agent.heartbeat"] = HEARTBEAT
    agent_id: AgentId
    agent_type: AgentType
    role: Role
    instance: Name
    lifecycle: Lifecycle
    load: Load
    """Running tasks as a share of those it would run at once."""

    at: datetime
    cpu: Load
    """Share of one processor since the last heartbeat; above 1 with several threads."""

    memory_bytes: Annotated[int, Field(ge=0, le=2**63 - 1)]
    tasks: tuple[HeldTask, ...] = ()
    completed: Annotated[int, Field(ge=0)] = 0
    failed: Annotated[int, Field(ge=0)] = 0
    faults: Annotated[int, Field(ge=0)] | None = None
    """How many of those that failed did so for no fault of their tasks."""

    busy_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """How long the attempts that have ended took, together."""

    interval: Annotated[float, Field(gt=0, le=3_600)] | None = None
    """Seconds until the next heartbeat."""

    dependencies: Annotated[tuple[Dependency, ...], Field(max_length=100)] = ()


def encode_heartbeat(
    heartbeat: Heartbeat, *, message_id: str, key: SigningKey | None = None
) -> Message:
    """Return a heartbeat as it is published; ``key`` signs it."""
    sent = heartbeat.__pydantic_serializer__.to_json(heartbeat)
    said = Said(message_id=message_id, body=heartbeat, sent=sent)
    return Message(
        exchange=SIGNALS,
        key=HEARTBEAT,
        body=sent,
        message_id=message_id,
        type=HEARTBEAT,
        headers=None if key is None else signature_headers(key, said),
        content_type="application/json",
        mandatory=False,
        is_persistent=False,
    )


def decode_heartbeat(raw: bytes) -> Heartbeat:
    """Return the heartbeat that a message holds; fields from a newer agent are passed over.

    Raises:
        Unreadable: It is none.
    """
    return read_signal(raw, {HEARTBEAT: Heartbeat})


def read_signal(raw: bytes, models: Mapping[str, type[S]]) -> S:
    """Return the signal of one of some types that a message holds, whatever else it says.

    Raises:
        Unreadable: It holds none.
    """
    said = loads_strict(raw)
    if not isinstance(said, dict):
        raise NotAnObject("the signal is JSON, but not an object")
    model = models.get(str(said.get("type")))
    if model is None:
        raise BadSchema(f"/type: is {said.get('type')!r}, not one of {', '.join(sorted(models))}")
    try:
        return validate_tolerantly(model, said)
    except ValidationError as error:
        where, why = first_wrong(error)
        pointer = "".join(f"/{part}" for part in where)
        raise BadSchema(f"{pointer}: {why}") from error
