"""What one domain proposes in the place of work that cannot be done as it was planned.

First its own rules: another way to the same artefact. Where there is none, a task is left out if
nobody asked for its result and all who would use it can do without.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, cast

from pydantic import Field, JsonValue

from agents.agent import Work
from agents.planners.affected import MOST_TASKS, Asked, asked_of
from agents.planners.proposals import HOURLY_RATES
from agents.planners.without import can_do_without
from domain.estimates import BY_RULE
from domain.graph import successors
from domain.tasks import Task
from domain.values import AgentType, JsonObject, TaskId, Text, Value

MOST_NOTES = 1_000


class Replacement(Value):
    """What is to stand in the place of a task; nothing, where it is left out."""

    task_id: TaskId
    task: Task | None
    rule: Text


class Alternatives(Value):
    """A domain's answer."""

    domain: AgentType
    replacements: Annotated[tuple[Replacement, ...], Field(max_length=MOST_TASKS)] = ()
    added: Annotated[tuple[Task, ...], Field(max_length=MOST_TASKS)] = ()
    notes: Annotated[tuple[Text, ...], Field(max_length=MOST_NOTES)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitute:
    """Another way to what an action brings about."""

    action: str
    rule: str
    called: str
    """What is added to the task's name, so that people see the difference."""

    hours: float
    params: JsonObject = field(default_factory=dict[str, JsonValue])
    inputs: tuple[str, ...] = ()
    """The inputs it needs, of the task or of what ends before it; where it names none, all."""

    renamed: Mapping[str, str] = field(default_factory=dict[str, str])
    """What it calls inputs that the task has by another name."""

    without: tuple[str, ...] = ()
    """Inputs that it has to do without."""

    spoils: tuple[str, ...] = ()
    """Actions that make no sense on what it finds, and are left out behind it."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """A domain's alternatives while they are written."""

    domain: str
    asked: Asked
    replaced: dict[str, Replacement] = field(default_factory=dict[str, Replacement])
    added: list[Task] = field(default_factory=list[Task])
    notes: list[str] = field(default_factory=list[str])

    def put(self, task_id: str, task: Task | None, rule: str) -> None:
        """Put a task, or nothing, in the place of another, and note by which rule."""
        old = self.asked.by_id[task_id]
        if task is not None:
            task = task.model_copy(update={"origin": told(old, self.domain, rule)})
        self.replaced[task_id] = Replacement(task_id=task_id, task=task, rule=rule[:4000])
        what = f"{task.name} ({task.agent} {task.action})" if task else "left out"
        self.notes.append(f"{task_id} {old.name}: {rule}: {what}")

    def now(self, task: Task) -> Task | None:
        """Return what stands in the place of a task."""
        found = self.replaced.get(task.id)
        return found.task if found else task

    def written(self) -> JsonObject:
        """Return the alternatives as the planner's result."""
        found = Alternatives(
            domain=self.domain,
            replacements=tuple(self.replaced.values()),
            added=tuple(self.added),
            notes=tuple(note[:4000] for note in self.notes[:MOST_NOTES]),
        )
        return cast(JsonObject, found.model_dump(mode="json"))


def answer_of(work: Work, domain: str) -> Answer:
    """Return an empty answer to what a domain's planner is asked.

    Raises:
        CannotBeDone: The question is missing or malformed.
    """
    return Answer(domain=domain, asked=asked_of(work))


def told(task: Task, domain: str, rule: str) -> str:
    """Return a task's origin with what has become of it."""
    return f"{task.origin}; {domain}: {rule}".removeprefix("; ")[-4000:]


def propose(
    answer: Answer, substitutes: Mapping[str, Sequence[Substitute]], *, without: str
) -> None:
    """Put substitutes in the place of what nobody can do, and leave out what can be missed.

    What another agent can do as it is remains for the meta planner, who hands it over. ``without``
    is the rule by which something is left out.
    """
    asked = answer.asked
    own = [task for task in asked.affected if task.agent == answer.domain]
    stuck: list[Task] = []
    spoilt: list[Task] = []
    for task in own:
        failed = task.id == asked.question.task_id
        if task.id in answer.replaced or (not failed and asked.other_for(task)):
            continue
        for substitute in substitutes.get(task.action, ()):
            if (found := substituted(asked, task, substitute)) is not None:
                answer.put(task.id, found, substitute.rule)
                spoilt += _spoilt(asked, task, substitute)
                break
        else:
            stuck.append(task)
    for task in (*stuck, *spoilt):
        _leave_out(answer, task, without)


def substituted(asked: Asked, task: Task, substitute: Substitute) -> Task | None:
    """Return a task with a substitute's action, if somebody lives who can do it."""
    types = [task.agent, *asked.naming(substitute.action)]
    agent = next((name for name in types if asked.serves(name, substitute.action)), None)
    inputs = {substitute.renamed.get(name, name): need for name, need in task.inputs.items()}
    for name in substitute.inputs:
        if name not in inputs and (source := asked.known_before(task, name)) is not None:
            inputs[name] = source
    lacking = [name for name in substitute.inputs if name not in inputs]
    if agent is None or lacking:
        return None
    kept = {
        name: need
        for name, need in inputs.items()
        if name not in substitute.without and (not substitute.inputs or name in substitute.inputs)
    }
    is_same = agent == task.agent and substitute.action == task.action
    params = task.params | substitute.params if is_same else dict(substitute.params)
    if is_same and params == task.params and kept == task.inputs:
        return None  # it has failed in just this way
    return task.model_copy(
        update={
            "name": f"{task.name}, {substitute.called}"[:200],
            "agent": agent,
            "action": substitute.action,
            "params": params,
            "inputs": kept,
            "duration": timedelta(hours=substitute.hours),
            "cost": substitute.hours * HOURLY_RATES.get(agent, HOURLY_RATES["CAD"]),
            "estimate": BY_RULE,
        }
    )


def _spoilt(asked: Asked, task: Task, substitute: Substitute) -> list[Task]:
    return [
        each
        for each in asked.question.tasks
        if each.action in substitute.spoils
        and task.id in each.inputs.values()
        and each.id not in asked.question.met
    ]


def _leave_out(answer: Answer, task: Task, rule: str) -> None:
    if answer.now(task) is None:
        return
    group = _missed_with(answer, task)
    if group is None:
        answer.notes.append(f"{task.id} {task.name}: {answer.domain} knows no other way")
        return
    for each in group:
        because = "" if each is task else f", as it needs {task.name}"
        answer.put(each.id, None, f"{rule}{because}")


def _missed_with(answer: Answer, task: Task) -> list[Task] | None:
    """Return what has to be left out with a task; None where something of it was asked for."""
    asked = answer.asked
    now = {each.id: answer.now(each) for each in asked.question.tasks}
    after = successors(each for each in now.values() if each is not None)
    group: dict[str, Task] = {}
    open_ones = [task]
    while open_ones:
        each = open_ones.pop()
        if each.id in group:
            continue
        if each.deliverable or each.id in asked.question.met:
            return None
        group[each.id] = each
        for name in after.get(each.id, ()):
            user = now[name]
            if user is not None and not can_do_without(user, each.id):
                open_ones.append(asked.by_id[name])
    return [group[name] for name in sorted(group)]
