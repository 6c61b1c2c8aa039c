"""Step through what happened: after each event, what was true, and what had changed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from domain.agent import Agent
from domain.deciders import decider_of
from domain.plan import Plan
from domain.policies import Event
from domain.recorded import Recorded
from domain.run import Run, TaskState
from projections.describe import describe

__all__ = ["Step", "describe", "steps"]

NOTHING = "no change"
SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event, and what it led to."""

    recorded: Recorded[Event]
    state: Any
    """What is true after it: a Plan, a Run or an Agent."""

    difference: str
    """What it changed, on one line."""


def steps(events: Iterable[Recorded[Event]]) -> Iterator[Step]:
    """Fold the events of one stream one by one.

    Raises:
        Refused: No stream has such a name.
    """
    state: Any = None
    for recorded in events:
        after = decider_of(recorded.stream).evolve(state, recorded.event)
        yield Step(
            recorded=recorded, state=after, difference=difference(state, after, recorded.event)
        )
        state = after


def difference(before: Any, after: Any, event: Event) -> str:
    """Say on one line what an event changed in a plan, a run or an agent."""
    changes: list[str] = []
    if isinstance(after, Run):
        changes += _of_tasks(before, after, event)
        for name in ("status", "open", "unhappy"):
            changes += _changed(name, getattr(before, name, None), getattr(after, name))
    elif isinstance(after, Plan | Agent):
        for field in fields(after):
            old, new = getattr(before, field.name, None), getattr(after, field.name)
            changes += _changed(field.name, _short(old), _short(new))
    return ", ".join(changes) or NOTHING


def _of_tasks(before: Run | None, after: Run, event: Event) -> list[str]:
    """Compare the tasks an event can reach, not all: a run may have 10,000 of them."""
    if before is None or (before.states is not after.states and hasattr(event, "tasks")):
        new = len(after.tasks) - (len(before.tasks) if before else 0)
        return [f"tasks +{new}"]
    task_id = getattr(event, "task_id", None)
    if not isinstance(task_id, str):
        return []
    reached = [task_id, *after.after.get(task_id, ())]
    changes = [
        f"{name}: {_stands(before.states[name])} → {_stands(after.states[name])}"
        for name in reached
        if name in before.states and before.states[name] != after.states[name]
    ]
    rest = len(changes) - SHOWN
    return [*changes[:SHOWN], f"and {rest} more tasks"] if rest > 0 else changes


def _stands(state: TaskState) -> str:
    epoch = f" #{state.epoch}" if state.epoch else ""
    who = f" {state.agent_id}" if state.agent_id and state.status == "started" else ""
    waits = f" (waits for {state.waits_for})" if state.status == "pending" else ""
    return f"{state.status}{epoch}{who}{waits}"


def _changed(name: str, old: object, new: object) -> list[str]:
    if old == new:
        return []
    return [f"{name}: {new}" if old is None else f"{name}: {old} → {new}"]


def _short(value: object) -> object:
    """Return what a line has room for."""
    if isinstance(value, tuple):
        return f"{len(value)}"  # pyright: ignore[reportUnknownArgumentType] # of anything
    title = getattr(value, "title", None)
    if isinstance(title, str):
        return title
    return value if isinstance(value, str | int | bool | None) else type(value).__name__
