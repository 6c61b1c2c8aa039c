"""The graph of a replanning run: the domains concerned propose, and the meta planner revises."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import cast

from domain.revisions import PlanReplanning
from domain.tasks import Gather, RetryPolicy, Task, Timeouts
from domain.teams import PLANNER, REVISE
from domain.values import AgentType, JsonObject

REPLAN = "replan"
PATIENCE = 20.0
"""Seconds that the domains have to answer; who does not is gone without."""

_LONGEST = 60.0
"""Seconds until a run has its answer, whatever becomes of the planners."""

Available = Mapping[AgentType, Sequence[str] | None]
"""Which agents are there for execution, and their actions; None where they do not say."""


def replanning_tasks(asked: PlanReplanning, available: Available) -> tuple[Task, ...]:
    """Return the tasks of a replanning run."""
    params: JsonObject = {
        "goal": asked.goal.model_dump(mode="json"),
        "options": asked.options.model_dump(mode="json"),
        "replan": {
            "tasks": [_written(task) for task in asked.tasks],
            "met": list(asked.met),
            "task_id": asked.task_id,
            "agent_type": asked.agent_type,
            "reason": asked.reason,
            "available": {
                name: None if actions is None else list(actions)
                for name, actions in sorted(available.items())
            },
        },
    }
    domains = () if asked.has_own_graph else _concerned(asked, available)
    proposals = [
        Task(
            id=f"replan-{domain.lower()}",
            name=f"Find another way for {domain}: {asked.goal.title}"[:200],
            agent=domain,
            role="planning",
            action=REPLAN,
            params=params,
            duration=timedelta(seconds=1),
            retry=RetryPolicy(attempts=1),
            timeouts=Timeouts(total=PATIENCE),
        )
        for domain in domains
    ]
    revision = Task(
        id=REVISE,
        name=f"Revise the plan: {asked.goal.title}"[:200],
        agent=PLANNER,
        role="planning",
        action=REVISE,
        params=params,
        inputs={task.agent: task.id for task in proposals},
        gather=Gather(rule="deadline", seconds=PATIENCE) if proposals else None,
        duration=timedelta(seconds=1),
        retry=RetryPolicy(attempts=2),
        timeouts=Timeouts(total=_LONGEST),
    )
    return (*proposals, revision)


def _written(task: Task) -> JsonObject:
    """Return a task without what goes without saying: a thousand of them fit into one message."""
    return cast(JsonObject, task.model_dump(mode="json", exclude_defaults=True))


def _concerned(asked: PlanReplanning, available: Available) -> Sequence[AgentType]:
    met = frozenset(asked.met)
    return sorted(
        {
            task.agent
            for task in asked.tasks
            if task.id not in met
            and (
                task.id == asked.task_id
                or task.agent == asked.agent_type
                or not _is_served(task, available)
            )
        }
    )


def _is_served(task: Task, available: Available) -> bool:
    if task.agent not in available:
        return False
    actions = available[task.agent]
    return actions is None or task.action in actions or "*" in actions
