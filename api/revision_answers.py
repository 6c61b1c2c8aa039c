"""Revisions of plans, as the API shows them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from api.durations import Moment, human_or_none
from domain.tasks import Task
from projections.revisions import Kind, RevisionRow

Touch = Literal["added", "removed", "modified"]


class Changes(BaseModel):
    """How many tasks are different."""

    tasks_added: int
    tasks_removed: int
    tasks_modified: int


class Impact(BaseModel):
    """What the other graph costs."""

    delay: str | None
    delay_seconds: float | None
    cost_increase: float | None


class ReplanAnswer(BaseModel):
    """What has become of a request for another graph."""

    plan_id: str
    replan_id: str | None
    """The execution that plans it; None as long as it has not begun."""

    status: Literal["replanning", "updated", "refused"]
    reason: str | None = None
    revision: int
    changes: Changes | None = None
    estimated_impact: Impact | None = None


class RevisionAnswer(BaseModel):
    """One step in the life of a graph."""

    revision: int
    kind: Kind
    at: Moment
    position: int
    author: str | None
    reason: str | None
    replan_id: str | None
    added: Sequence[str]
    removed: Sequence[str]
    modified: Sequence[str]
    notes: Sequence[str]
    estimated_impact: Impact | None


class RevisionsAnswer(BaseModel):
    """What became of a plan's graph."""

    plan_id: str
    revisions: Sequence[RevisionAnswer]


class Modified(BaseModel):
    """A task that two revisions have, and have otherwise."""

    task_id: str
    changes: Mapping[str, tuple[Any, Any]]
    """By field: before, after."""


class DiffAnswer(BaseModel):
    """What is different between two revisions."""

    plan_id: str
    before: int
    after: int
    added: Sequence[str]
    removed: Sequence[str]
    modified: Sequence[Modified]


class Blame(BaseModel):
    """A revision that has touched a task."""

    revision: int
    what: Touch
    at: Moment
    author: str | None
    reason: str | None


class BlameAnswer(BaseModel):
    """Whom a task is owed to."""

    plan_id: str
    task_id: str
    origin: str | None
    """The planner and the rule that asked for it, last."""

    history: Sequence[Blame]


def blamed(row: RevisionRow, what: Touch) -> Blame:
    """Return what a revision has done to a task."""
    return Blame(
        revision=row.revision,
        what=what,
        at=row.at,
        author=row.author or None,
        reason=row.reason or None,
    )


def changes_of(row: RevisionRow) -> Changes:
    """Return how many tasks a revision has changed."""
    return Changes(
        tasks_added=len(row.added),
        tasks_removed=len(row.removed),
        tasks_modified=len(row.modified),
    )


def impact_of(row: RevisionRow) -> Impact | None:
    """Return what a revision costs, where that is known."""
    if row.delay is None:
        return None
    return Impact(
        delay=human_or_none(max(row.delay, 0.0)), delay_seconds=row.delay, cost_increase=row.cost
    )


def shown(row: RevisionRow) -> RevisionAnswer:
    """Return a step as the API shows it."""
    return RevisionAnswer(
        revision=row.revision,
        kind=row.kind,
        at=row.at,
        position=row.position,
        author=row.author or None,
        reason=row.reason or None,
        replan_id=row.planning_run,
        added=row.added,
        removed=row.removed,
        modified=row.modified,
        notes=row.notes,
        estimated_impact=impact_of(row),
    )


def fields_of(before: Task, after: Task) -> Mapping[str, tuple[Any, Any]]:
    """Return which fields of a task are different, with both values."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    return {
        name: (old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    }
