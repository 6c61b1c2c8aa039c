"""What a planner is asked when a plan has to be changed, and which tasks that concerns."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from pydantic import ConfigDict, Field

from agents.agent import CannotBeDone, Work
from agents.reading import shaped
from domain.errors import BadGraph
from domain.graph import check, order
from domain.tasks import Task
from domain.values import AgentType, TaskId, Text, Value

MOST_TASKS = 10_000
EVERYTHING = "*"
"""The action of an agent that takes every action."""


class Question(Value):
    """The graph of the current revision, what is done of it, and what went wrong."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    tasks: Annotated[tuple[Task, ...], Field(min_length=1, max_length=MOST_TASKS)]
    met: frozenset[TaskId] = frozenset()
    task_id: TaskId | None = None
    """The task that failed for good."""

    agent_type: AgentType | None = None
    """The type that nobody serves any more."""

    reason: Text = ""
    available: dict[AgentType, frozenset[str] | None] = Field(
        default_factory=dict[str, frozenset[str] | None]
    )
    """The agents that live, with their actions; None where they do not say."""


@dataclass(frozen=True)
class Asked:
    """A question with what follows from it."""

    question: Question

    @cached_property
    def by_id(self) -> dict[str, Task]:
        """Every task of the graph."""
        return {task.id: task for task in self.question.tasks}

    @cached_property
    def affected(self) -> tuple[Task, ...]:
        """The tasks that cannot stay as they are, in the order of the graph."""
        return tuple(
            self.by_id[name]
            for name in order(self.question.tasks)
            if name not in self.question.met and self._is_affected(self.by_id[name])
        )

    def _is_affected(self, task: Task) -> bool:
        return task.id == self.question.task_id or not self.serves(task.agent, task.action)

    def is_at_stake(self, task: Task) -> bool:
        """Tell whether the question is about this task, and not only about others as well."""
        return task.id == self.question.task_id or task.agent == self.question.agent_type

    def serves(self, agent: AgentType, action: str) -> bool:
        """Tell whether somebody of a type lives who may be able to do something."""
        if agent == self.question.agent_type or agent not in self.question.available:
            return False
        actions = self.question.available[agent]
        return actions is None or action in actions or EVERYTHING in actions

    def naming(self, action: str) -> list[AgentType]:
        """Return the living types that name an action, in order."""
        return [
            name
            for name, actions in sorted(self.question.available.items())
            if name != self.question.agent_type and actions is not None and action in actions
        ]

    def known_before(self, task: Task, name: str) -> str | None:
        """Return the task whose result others know by a name, if it ends before this one."""
        sources = {each.inputs[name] for each in self.question.tasks if name in each.inputs}
        before: set[str] = set()
        open_ones = list(task.needs)
        while open_ones:
            each = open_ones.pop()
            if each not in before:
                before.add(each)
                open_ones += self.by_id[each].needs
        return next(iter(sources)) if len(sources) == 1 and sources <= before else None

    def other_for(self, task: Task) -> AgentType | None:
        """Return another living type that can do the same, if there is one.

        First the task's fallback, unless it has had its turn; then who names the action; and, for
        a task of a user's own graph, who takes anything.
        """
        had_their_turn = {task.agent}
        if task.fallback and task.fallback != task.agent:
            if task.id == self.question.task_id:
                had_their_turn.add(task.fallback)
            elif self.serves(task.fallback, task.action):
                return task.fallback
        for name in self.naming(task.action):
            if name not in had_their_turn:
                return name
        if task.origin:
            return None
        anybody = (name for name in sorted(self.question.available) if name not in had_their_turn)
        return next((name for name in anybody if self.serves(name, task.action)), None)


def free_id(taken: Collection[str]) -> str:
    """Return the first id, numbered as the planners number tasks, that is not taken."""
    count = len(taken) + 1
    while (name := f"task_{count:03}") in taken:
        count += 1
    return name


def asked_of(work: Work) -> Asked:
    """Return what a planner is asked about a plan that has to be changed.

    Raises:
        CannotBeDone: The question is missing or malformed.
    """
    asked = shaped(work.params.get("replan"), Question, where="the question for another plan")
    try:
        check(asked.tasks)
    except BadGraph as error:
        raise CannotBeDone(f"the plan to be changed is no graph: {error}") from error
    return Asked(asked)
