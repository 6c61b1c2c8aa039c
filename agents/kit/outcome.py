"""What an attempt comes to: a result that others can read, or a failure of a class."""

import json
import traceback
from collections.abc import Mapping, Sequence
from typing import TypeVar

from agents.agent import CannotBeDone, TryAgain
from bus.refusals import Unreadable
from bus.strict_json import loads_strict
from domain.errors import Unavailable
from domain.run_events import TaskCompleted, TaskDispatched, TaskFailed, TaskStopped
from domain.usage import ModelCall, told
from domain.values import ErrorClass, JsonObject

LARGEST_RESULT = 256 * 1024
"""Bytes of JSON; what is larger travels by reference."""

_LONGEST_REASON = 4_000

End = TypeVar("End", TaskCompleted | TaskFailed, TaskStopped)
"""How an attempt ends at its agent."""


def completed(task: TaskDispatched, agent_id: str, result: object) -> TaskCompleted | TaskFailed:
    """Return the report of a result, or of a failure when it is none that others can read."""
    try:
        understood = readable(result)
    except CannotBeDone as refusal:
        return failed(task, agent_id, refusal)
    return TaskCompleted(
        run_id=task.run_id,
        task_id=task.task_id,
        epoch=task.epoch,
        agent_id=agent_id,
        result=understood,
    )


def failed(task: TaskDispatched, agent_id: str, error: BaseException) -> TaskFailed:
    """Return the report of a failure; its class says whether another attempt can help."""
    error_class, reason = classified(error)
    return TaskFailed(
        run_id=task.run_id,
        task_id=task.task_id,
        epoch=task.epoch,
        agent_id=agent_id,
        error_class=error_class,
        reason=reason,
    )


def with_calls(body: End, calls: Sequence[ModelCall]) -> End:
    """Return a report that tells as well which language models were called."""
    return body.model_copy(update={"calls": told(calls)}) if calls else body


def classified(error: BaseException) -> tuple[ErrorClass, str]:
    """Return whether another attempt can help, and why it failed, in words that can be sent."""
    error_class, reason = _class_of(error)
    sendable = reason.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    return error_class, sendable[:_LONGEST_REASON]


def traced(error: BaseException) -> Mapping[str, str]:
    """Return what a log tells of a failure: its kind, and where it came from if nobody foresaw it.

    What it says is in the report alone: it may be personal, and a log does not forget.
    """
    kind = type(error).__name__
    if isinstance(error, CannotBeDone | TryAgain):
        return {"error": kind}
    return {"error": kind, "trace": "".join(traceback.format_tb(error.__traceback__))}


def _class_of(error: BaseException) -> tuple[ErrorClass, str]:
    match error:
        case CannotBeDone():
            return "validation", str(error)
        case Unavailable() | OSError() | TimeoutError():
            return "transient", str(error) or type(error).__name__
        case _:
            return "transient", f"{type(error).__name__}: {error}"


def readable(result: object) -> JsonObject:
    """Return a result as everybody reads it.

    Raises:
        CannotBeDone: It is none that others can read.
    """
    if not isinstance(result, dict):
        raise CannotBeDone(f"the result is a {type(result).__name__}; it has to be an object")
    try:
        raw = json.dumps(
            result, allow_nan=False, ensure_ascii=False, separators=(",", ":")
        ).encode()
        understood = loads_strict(raw, max_bytes=LARGEST_RESULT)
    except (TypeError, ValueError, RecursionError) as error:
        raise CannotBeDone(f"the result is not JSON: {error}") from error
    except Unreadable as refusal:
        raise CannotBeDone(f"the result cannot be sent: {refusal}") from refusal
    assert isinstance(understood, dict)  # noqa: S101 # it was one
    return understood
