"""The forms of a model's answers, and what is wrong with one: judged like any user's input."""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from agents.llm.rights import exceeds
from agents.planners.scope import DOMAINS, Domain
from domain.values import Action, JsonObject, Name

MOST_TASKS: Final = 60
MOST_HOURS: Final = 5_000.0
MOST_DATA: Final = 64 * 1024
"""Bytes of data that go with a question."""

Key = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9:._-]{0,79}$")]
Line = Annotated[str, Field(max_length=400)]
Few = Field(default=(), max_length=30)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SubGoalAnswer(_Answer):
    """What one domain has to reach."""

    domain: Domain
    title: Annotated[str, Field(min_length=1, max_length=150)]
    why: Line = ""


class DecompositionAnswer(_Answer):
    """A goal, divided."""

    sub_goals: Annotated[tuple[SubGoalAnswer, ...], Field(min_length=1, max_length=len(DOMAINS))]


class TaskAnswer(_Answer):
    """One task of a domain's plan."""

    key: Key
    name: Name
    action: Action
    params: JsonObject = Field(default_factory=dict)
    produces: Annotated[tuple[Key, ...], Few] = ()
    needs: Annotated[tuple[Key, ...], Few] = ()
    after: Annotated[tuple[Key, ...], Few] = ()
    hours: Annotated[float, Field(gt=0, le=MOST_HOURS, allow_inf_nan=False)]
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    why: Line = ""
    deliverable: bool = False


class PlanAnswer(_Answer):
    """A domain's plan."""

    tasks: Annotated[tuple[TaskAnswer, ...], Field(min_length=1, max_length=MOST_TASKS)]
    notes: Annotated[tuple[Line, ...], Field(max_length=10)] = ()


def wrong_with_decomposition(answer: DecompositionAnswer) -> list[str]:
    """Say what is wrong with a decomposition."""
    domains = [sub_goal.domain for sub_goal in answer.sub_goals]
    wrong: list[str] = []
    if len(set(domains)) < len(domains):
        wrong.append("a domain is there twice")
    for one, needs in (("META", "META"), ("SIM", "CAD"), ("SUPP", "COMP")):
        if (one in domains or one == "META") and needs not in domains:
            wrong.append(f"{needs} is missing")
    return wrong


def judge_of(
    domain: str, *, artefacts: Collection[str], wanted: Collection[str], foreign: Collection[str]
) -> Callable[[PlanAnswer], list[str]]:
    """Return what says what is wrong with a plan of a domain.

    Others offer ``artefacts``; ``wanted`` is what others need of this domain, and ``foreign`` what
    is for others to make: who made it here would put words into their mouths.
    """

    def wrong_with(answer: PlanAnswer) -> list[str]:
        tasks = answer.tasks
        keys = [task.key for task in tasks]
        made = {artefact: task.key for task in tasks for artefact in task.produces}
        wrong = [f"two tasks are called {key}" for key in sorted(set(keys)) if keys.count(key) > 1]
        wrong += [f"{name} is for others to produce" for name in sorted(made.keys() & set(foreign))]
        for task in tasks:
            if exceeded := exceeds(domain, task.action, task.params):
                wrong.append(f"{task.key}: {exceeded}")
            unknown = [need for need in task.needs if need not in made and need not in artefacts]
            wrong += [f"{task.key} needs {need}, which nobody produces" for need in unknown]
            strange = [other for other in task.after if other not in keys]
            wrong += [f"{task.key} comes after {other}, which is no task" for other in strange]
        lacking = sorted(set(wanted) - made.keys())
        wrong += [f"nothing produces {artefact}, which others need" for artefact in lacking]
        if not wrong and (circle := _in_circle(answer, made)):
            wrong.append(f"{circle} waits for itself")
        return wrong

    return wrong_with


def _in_circle(answer: PlanAnswer, made: Mapping[str, str]) -> str:
    """Return a task that waits for itself, or an empty string."""
    waits = {
        task.key: {*task.after, *(made[need] for need in task.needs if need in made)}
        for task in answer.tasks
    }
    while free := [key for key, before in waits.items() if not before & waits.keys()]:
        for key in free:
            del waits[key]
    return min(waits, default="")
