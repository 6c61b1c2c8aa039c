"""From what the domains propose to the next revision of a plan: what is done stays as it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from pydantic import JsonValue

from agents.agent import CannotBeDone, Work
from agents.planners.affected import Asked, asked_of, free_id
from agents.planners.alternatives import MOST_NOTES, Alternatives, told
from agents.planners.without import freed_of
from agents.reading import shaped
from domain.errors import Refused
from domain.graph import check
from domain.tasks import Task
from domain.values import JsonObject

REASSIGNMENT = "reassignment"
BY = "META_PLANNER"


@dataclass(slots=True, kw_only=True)
class Revision:
    """The next revision of a graph while it is written."""

    asked: Asked
    tasks: dict[str, Task]
    dropped: set[str] = field(default_factory=set[str])
    touched: set[str] = field(default_factory=set[str])
    notes: list[str] = field(default_factory=list[str])

    @property
    def has_changed(self) -> bool:
        """Whether anything is otherwise than before."""
        return bool(self.dropped) or self.tasks != self.asked.by_id

    def take(self, answer: Alternatives) -> None:
        """Take over what a domain proposes, except where it touches what is done or replaced."""
        self.notes += [f"{answer.domain}: {note}" for note in answer.notes]
        renamed = self._renamed(answer)
        for task in answer.added:
            added = _with_ids(task, renamed)
            self.tasks[added.id] = added
        for each in answer.replacements:
            old = self.asked.by_id.get(each.task_id)
            if old is None or old.id in self.asked.question.met or old.id in self.touched:
                why = "nobody knows it" if old is None else "it is done, or replaced already"
                self.notes.append(f"{answer.domain}: {each.task_id} stays as it is: {why}")
                continue
            self.touched.add(old.id)
            if each.task is None:
                self.dropped.add(old.id)
            else:
                new = _with_ids(each.task, renamed)
                self.tasks[old.id] = new.model_copy(update={"id": old.id})

    def _renamed(self, answer: Alternatives) -> Mapping[str, str]:
        taken = {*self.tasks, *(task.id for task in answer.added)}
        renamed: dict[str, str] = {}
        for task in answer.added:
            if task.id in self.tasks:
                renamed[task.id] = free_id(taken)
                taken.add(renamed[task.id])
        return renamed

    def reassign(self) -> list[Task]:
        """Give what nobody has replaced to others who can do it; return what remains."""
        remaining: list[Task] = []
        for task in self.asked.affected:
            if task.id in self.touched:
                continue
            other = self.asked.other_for(task)
            if other is None:
                remaining.append(task)
                continue
            rule = f"{REASSIGNMENT}: {other} instead of {task.agent}"
            self.notes.append(f"{task.id} {task.name}: {rule}")
            self.tasks[task.id] = task.model_copy(
                update={
                    "agent": other,
                    "fallback": None if task.fallback == other else task.fallback,
                    "origin": told(task, BY, rule),
                }
            )
        return remaining

    def close(self) -> None:
        """Remove what is left out, and every edge to it."""
        for name in self.dropped:
            self.tasks.pop(name, None)
        for name, task in self.tasks.items():
            if name not in self.asked.question.met:
                self.tasks[name] = freed_of(task, self.dropped)


async def revise(work: Work) -> JsonObject:
    """Merge what the domains propose in the place of what cannot be done as it was planned."""
    asked = asked_of(work)
    revision = Revision(asked=asked, tasks=dict(asked.by_id))
    for answer in _answers(work, revision.notes):
        revision.take(answer)
    remaining = revision.reassign()
    _refuse_what_matters(revision, remaining)
    revision.close()
    for task in remaining:
        revision.notes.append(
            f"{task.id} {task.name}: nobody lives who can {task.action}; it waits for {task.agent}"
        )
    try:
        check([*revision.tasks.values()])
    except Refused as error:
        raise CannotBeDone(f"the alternatives do not fit together: {error}") from error
    return {"tasks": _written(work, revision), "notes": [*_bounded(revision.notes)]}


def _answers(work: Work, notes: list[str]) -> list[Alternatives]:
    answers: list[Alternatives] = []
    for name, answer in sorted(work.inputs.items()):
        if not answer:
            notes.append(f"{name} has not answered")
            continue
        try:
            answers.append(shaped(answer, Alternatives, where=f"the answer of {name}"))
        except CannotBeDone as error:
            notes.append(f"{error}; it is gone without")
    return answers


def _refuse_what_matters(revision: Revision, remaining: list[Task]) -> None:
    asked = revision.asked
    at_stake = [task for task in remaining if asked.is_at_stake(task)]
    if not at_stake and revision.has_changed:
        return
    tried = "; ".join(revision.notes) or "no domain has answered"
    at_stake = at_stake or remaining
    if not at_stake:
        raise CannotBeDone(f"nothing has to be changed: {tried}"[:4000])
    named = ", ".join(f"{task.id} {task.name} ({task.agent} {task.action})" for task in at_stake)
    living = ", ".join(sorted(asked.question.available)) or "nobody"
    raise CannotBeDone(
        f"there is no other way to {named}: no other agent that lives ({living}) can do it;"
        f" the domains: {tried}"[:4000]
    )


def _written(work: Work, revision: Revision) -> list[JsonValue]:
    """Return the tasks in their old order, new ones behind; what has not changed as it was."""
    asked = revision.asked
    question = cast(JsonObject, work.params["replan"])
    raw = {str(task["id"]): task for task in cast("list[JsonObject]", question["tasks"])}
    names = [name for name in asked.by_id if name in revision.tasks]
    names += sorted(revision.tasks.keys() - asked.by_id.keys())
    return [
        raw[name]
        if asked.by_id.get(name) == revision.tasks[name]
        else cast(JsonObject, revision.tasks[name].model_dump(mode="json", exclude_defaults=True))
        for name in names
    ]


def _bounded(notes: Iterable[str]) -> list[str]:
    return [note[:4000] for note in notes][:MOST_NOTES]


def _with_ids(task: Task, renamed: Mapping[str, str]) -> Task:
    if not renamed:
        return task
    return task.model_copy(
        update={
            "id": renamed.get(task.id, task.id),
            "depends_on": tuple(renamed.get(need, need) for need in task.depends_on),
            "inputs": {name: renamed.get(need, need) for name, need in task.inputs.items()},
        }
    )
