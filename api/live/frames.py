"""Frames: one thing that happened, as a reader of live updates is told it."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Final

import orjson

from domain.agent import AgentDeregistered, AgentRegistered, AgentStatus
from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import (
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
    TaskCompleted,
    TaskStarted,
)
from domain.steering import RunPaused, RunResumed, RunRolledBack
from domain.values import JsonObject, RunStatus
from projections.agents import Status

AGENTS_TOPIC: Final = "agents"
"""What readers of agents watch; readers of an execution watch its id."""

MOST_RESULT: Final = 64 * 1024
"""Bytes of a result that a frame holds; of a larger one it tells where it is."""

_AGENT_EVENTS = (AgentRegistered, AgentStatus, AgentDeregistered)
_SCALAR = (str, int, float, bool, datetime, type(None))


class Frame:
    """One message to readers, encoded once for all of them."""

    def __init__(self, said: Mapping[str, object], *, position: int, key: str = "") -> None:
        """Take what is said; ``key`` names what a later frame tells anew, for signals."""
        self.said = said
        self.position = position
        """Of the event it tells; 0 where it tells none."""

        self.key = key

    @property
    def type(self) -> str:
        """What it tells of."""
        return str(self.said["type"])

    @cached_property
    def text(self) -> str:
        """The message as JSON."""
        # As everywhere in the API: in whole seconds.
        option = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS
        return orjson.dumps(self.said, option=option).decode()


def topic_of(recorded: Recorded[Event]) -> str | None:
    """Return which readers an event concerns."""
    if recorded.stream.startswith("exec_"):
        return recorded.stream
    return AGENTS_TOPIC if isinstance(recorded.event, _AGENT_EVENTS) else None


def of_run(recorded: Recorded[Event], agent_type: str | None) -> Frame:
    """Return the frame of an event of a run."""
    event = recorded.event
    said: dict[str, object] = {"type": recorded.type, "execution_id": recorded.stream}
    match event:
        case TaskStarted():
            said |= {"task_id": event.task_id, "agent": agent_type}
        case TaskCompleted():
            said |= {"task_id": event.task_id, **_result(event.result, recorded.position)}
        case RunStarted() | RunResumed():
            said |= _status("running")
        case RunPaused() | RunRolledBack():
            said |= _status("paused", event.reason)
        case RunCompleted():
            said |= _status("completed")
        case RunFailed():
            said |= _status("failed", event.reason)
        case RunCancelled():
            said |= _status("cancelled", event.reason)
        case _:
            said |= _scalars(event)
    return _placed(said, recorded.at, recorded.position)


def of_agent(recorded: Recorded[Event], load: float | None) -> Frame:
    """Return the frame of an event of an agent."""
    event = recorded.event
    said: dict[str, object] = {"type": recorded.type, "agent_id": getattr(event, "agent_id", None)}
    if isinstance(event, AgentStatus):
        said |= {"status": status_of(event.lifecycle, event.health), "load": load}
        said |= {"health": event.health, "reason": event.reason}
    elif isinstance(event, AgentRegistered):
        said |= {"agent_type": event.agent_type, "role": event.role}
    return _placed(said, recorded.at, recorded.position)


def task_frame(
    run_id: str,
    task_id: str,
    status: str,
    *,
    at: datetime,
    position: int,
    agent_type: str | None,
    result: JsonObject | None,
    reason: str | None,
) -> Frame:
    """Return the frame of where a task stands, as if its last event were told just now."""
    said: dict[str, object] = {
        "type": f"task.{status}",
        "execution_id": run_id,
        "task_id": task_id,
    }
    if status == "started":
        said["agent"] = agent_type
    elif status == "completed":
        said |= _result(result or {}, position)
    elif reason:
        said["reason"] = reason
    return _placed(said, at, position)


def status_of(lifecycle: str, health: str) -> Status:
    """Return what an agent's place in its life and its health come down to."""
    if lifecycle == "shutdown":
        return "inactive"
    return "failed" if health in ("unhealthy", "offline") or lifecycle == "recovering" else "active"


def run_status(run_id: str, status: RunStatus, *, at: datetime, position: int) -> Frame:
    """Return the frame of where an execution stands."""
    return _placed({"execution_id": run_id, **_status(status)}, at, position)


def agent_status(
    agent_id: str, status: Status, load: float | None, *, at: datetime, position: int = 0
) -> Frame:
    """Return the frame of how an agent is: by its row, or by a heartbeat, without a position."""
    said = {"type": "agent.status", "agent_id": agent_id, "status": status, "load": load}
    return _placed(said, at, position, key=f"agent/{agent_id}")


def progress(run_id: str, task_id: str, share: float, *, at: datetime) -> Frame:
    """Return the frame of how far an agent says a task is."""
    said = {
        "type": "task.progress",
        "execution_id": run_id,
        "task_id": task_id,
        "progress": round(share, 3),
    }
    return _placed(said, at, 0, key=f"task/{task_id}")


def heartbeat(position: int, at: datetime) -> Frame:
    """Return what is said when there is nothing to say: everything up to here is told."""
    return _placed({"type": "heartbeat"}, at, position)


def resync(after: int, position: int, at: datetime) -> Frame:
    """Return what a reader is told that was too slow: from here on only the latest of each."""
    return _placed({"type": "resync", "after": after}, at, position)


def _placed(said: Mapping[str, object], at: datetime, position: int, *, key: str = "") -> Frame:
    place = {"position": position} if position else {}
    return Frame({**said, "timestamp": at, **place}, position=position, key=key)


def _status(status: RunStatus, reason: str = "") -> dict[str, object]:
    return {"type": "execution.status", "status": status, **({"reason": reason} if reason else {})}


def _result(result: JsonObject, position: int) -> dict[str, object]:
    if len(orjson.dumps(result)) <= MOST_RESULT:
        return {"result": result}
    return {"result": {}, "result_ref": f"/api/v1/events/{position}"}


def _scalars(event: Event) -> dict[str, object]:
    """Return what an event says in a word each; lists and graphs are for questions."""
    return {
        name: value
        for name in type(event).model_fields
        if name not in ("type", "run_id") and isinstance(value := getattr(event, name), _SCALAR)
    }
