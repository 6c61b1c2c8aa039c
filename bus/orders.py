"""Orders: signals to one agent about an attempt that it has in hand, or about itself.

``task.grant`` entitles it to the external effect of the attempt, because its claim is recorded;
``task.stop`` tells it to let go, because the attempt is over. ``agent.stop`` tells it to take no
more work, because somebody has deregistered it. They travel on ``taskloom.signals``
under ``order.<agent id>``. One that is missed is given again: whoever hears the agent name the
attempt in its heartbeats sees that it has not got it.
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from bus.envelope import agent_actor
from bus.messages import Message
from bus.signals import read_signal
from bus.topology import SIGNALS
from domain.agent import AgentDeregistered
from domain.policies import Event
from domain.recorded import Recorded, derived_id
from domain.run_events import TaskCancelled, TaskLost, TaskStarted, TaskTimedOut
from domain.values import AgentId, AgentType, Epoch, Name, Role, RunId, TaskId, Value


class TaskStop(Value):
    """The agent is to let go of an attempt."""

    type: Literal["task.stop"] = "task.stop"
    run_id: RunId
    task_id: TaskId
    epoch: Epoch


class TaskGrant(Value):
    """The agent may begin the external effect of an attempt."""

    type: Literal["task.grant"] = "task.grant"
    run_id: RunId
    task_id: TaskId
    epoch: Epoch
    instance: Name | None = None
    """Which start of the agent may; None where the claim did not say."""


class AgentStop(Value):
    """The agent is to take no more work, and to finish what it has."""

    type: Literal["agent.stop"] = "agent.stop"
    instance: Name
    """Which start of the agent: a later one has registered again."""


Order: TypeAlias = TaskStop | TaskGrant | AgentStop
_ORDERS: Final[Mapping[str, type[Order]]] = {
    "task.stop": TaskStop,
    "task.grant": TaskGrant,
    "agent.stop": AgentStop,
}


def order_key(agent_id: AgentId) -> str:
    """Return the routing key of the orders to an agent."""
    return f"order.{agent_id}"


def order_queue(role: Role, agent_type: AgentType, agent_id: AgentId) -> str:
    """Return what the names of the queues begin with that an agent hears its orders from."""
    return f"{SIGNALS}.{role}.{agent_type.lower()}.{agent_id}"


def encode_order(order: Order, agent_id: AgentId, *, message_id: str) -> Message:
    """Return an order as it is published."""
    return Message(
        exchange=SIGNALS,
        key=order_key(agent_id),
        body=order.__pydantic_serializer__.to_json(order),
        message_id=message_id,
        type=order.type,
        content_type="application/json",
        mandatory=False,
        is_persistent=False,
    )


def decode_order(raw: bytes) -> Order:
    """Return the order that a message holds.

    Raises:
        Unreadable: It holds none.
    """
    return read_signal(raw, _ORDERS)


def orders_of(recorded: Recorded[Event]) -> list[Message]:
    """Return the orders that follow from an event: none but for a few types."""
    match recorded.event:
        case TaskStarted(is_claim=True, agent_id=agent_id) as event:
            order: Order = TaskGrant(
                run_id=event.run_id,
                task_id=event.task_id,
                epoch=event.epoch,
                instance=event.instance,
            )
        case (
            TaskCancelled(agent_id=str() as agent_id)
            | TaskLost(agent_id=agent_id)
            | TaskTimedOut(agent_id=str() as agent_id)
        ) as event:
            order = TaskStop(run_id=event.run_id, task_id=event.task_id, epoch=event.epoch)
        case AgentDeregistered(agent_id=agent_id, instance=str() as instance) if (
            recorded.actor != agent_actor(agent_id)  # who says goodbye itself knows
        ):
            order = AgentStop(instance=instance)
        case _:
            return []
    return [encode_order(order, agent_id, message_id=derived_id(recorded.id, "order"))]
