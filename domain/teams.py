"""Kinds of runs: how the graph of each grows by its own results, and which task answers for it.

A team is pure policy. Its agents do the work; the team says what the results lead to.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from domain.errors import Refused
from domain.estimates import Effort
from domain.goals import Goal, Options
from domain.tasks import Task, Timeouts
from domain.usage import Budget, Spending, left_of, share_of
from domain.values import AgentType, JsonObject, Name, RunKind, Value
from domain.wrong import in_a_line

PLANNER: AgentType = "META_PLANNER"
DECOMPOSE, PLAN, SYNTHESIZE = "decompose", "plan", "synthesize"
REVISE = "revise"
"""What the planner does in a replanning run."""

HISTORY = "history"
"""The parameter that tells the synthesis how long work of the past has taken."""


class MalformedResult(Refused):
    """A result that the graph should grow by is not of the agreed form."""

    code = "malformed-result"


class SubGoal(Value):
    """What the planner asks of one domain."""

    domain: AgentType
    title: Name
    params: JsonObject = Field(default_factory=dict)


Grow = Callable[[str, JsonObject, Mapping[str, Task]], Sequence[Task]]
"""From a task's id and result, and the tasks there are, to the tasks that are added.

It raises ``MalformedResult`` where the result is not of the agreed form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """One kind of run."""

    grow: Grow | None = None
    answer: str | None = None
    """The task whose result is the run's."""

    @property
    def grows(self) -> bool:
        """Whether results can add tasks."""
        return self.grow is not None


def planning_tasks(
    goal: Goal, options: Options, history: Sequence[Effort] = ()
) -> tuple[Task, ...]:
    """Return the graph that a planning run begins with: one task, which grows the others."""
    params: JsonObject = {
        "goal": goal.model_dump(mode="json"),
        "options": options.model_dump(mode="json"),
    }
    if history:
        params[HISTORY] = [each.model_dump(mode="json") for each in history]
    return (
        Task(
            id=DECOMPOSE,
            name=f"Decompose the goal: {goal.title}"[:200],
            agent=PLANNER,
            role="planning",
            action=DECOMPOSE,
            params=params,
            duration=timedelta(seconds=1),
            budget=options.model_budget,
        ),
    )


MOST_SUB_GOALS = 100
"""Each is given the goal: without a limit, one result could grow to gigabytes."""

_SUB_GOALS = TypeAdapter(Annotated[tuple[SubGoal, ...], Field(max_length=MOST_SUB_GOALS)])


def grow_planning(task_id: str, result: JsonObject, tasks: Mapping[str, Task]) -> Sequence[Task]:
    """Scatter the sub-goals over their domains, and gather the domains' plans for the synthesis.

    In a pipeline each domain waits for the earlier ones, in the order of the sub-goals, and is
    given their plans.

    Raises:
        MalformedResult: The decomposition is not a list of sub-goals, one for a domain.
    """
    if task_id != DECOMPOSE:
        return ()
    try:
        sub_goals = _SUB_GOALS.validate_python(result.get("sub_goals"))
    except ValidationError as error:
        why = in_a_line(error, whole="sub_goals")
        raise MalformedResult(f"the decomposition has no list of sub-goals: {why}") from error
    domains = [sub_goal.domain for sub_goal in sub_goals]
    if not domains or len(set(domains)) < len(domains):
        raise MalformedResult(
            f"the decomposition needs one sub-goal for each domain; it has {domains}"
        )
    options = _options(tasks[DECOMPOSE])
    params = tasks[DECOMPOSE].params
    asked = {name: value for name, value in params.items() if name != HISTORY}
    scattered: list[Task] = []
    for sub_goal in sub_goals:
        earlier = scattered if options.planning == "pipeline" else ()
        scattered.append(
            Task(
                id=f"plan-{sub_goal.domain.lower()}",
                name=f"Plan {sub_goal.domain}: {sub_goal.title}"[:200],
                agent=sub_goal.domain,
                role="planning",
                action=PLAN,
                params=sub_goal.params | asked,
                depends_on=(DECOMPOSE,),
                inputs={task.agent: task.id for task in earlier},
                duration=timedelta(seconds=1),
                timeouts=Timeouts(total=options.gather.seconds),
            )
        )
    gathered = Task(
        id=SYNTHESIZE,
        name="Link the domains' plans and synthesize one graph",
        agent=PLANNER,
        role="planning",
        action=SYNTHESIZE,
        params=params,
        inputs={task.agent: task.id for task in scattered},
        gather=None if options.gather.rule == "all" else options.gather,
        duration=timedelta(seconds=1),
    )
    return [*scattered, gathered]


def _options(decomposition: Task) -> Options:
    return Options.model_validate(decomposition.params.get("options", {}))


def endowed(tasks: Sequence[Task], budget: Budget | None, spent: Spending) -> tuple[Task, ...]:
    """Share what a task has left of its budget among the planners that it has led to.

    Each share is its own, since they may plan at the same time. The synthesis asks no model.
    """
    heirs = sum(task.action == PLAN for task in tasks)
    if budget is None or not heirs:
        return tuple(tasks)
    share = share_of(left_of(budget, spent), heirs)
    return tuple(
        task.model_copy(update={"budget": share}) if task.action == PLAN else task for task in tasks
    )


TEAMS: Mapping[RunKind, Team] = {
    "planning": Team(grow=grow_planning, answer=SYNTHESIZE),
    "execution": Team(),
    "replanning": Team(answer=REVISE),
}
