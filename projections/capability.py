"""Whether the agents that are registered can do what a plan asks for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from domain.tasks import Task
from projections.table import Connection

ANYTHING = "*"
Actions = frozenset[str] | None
"""What an agent says it can do; None where it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unserved:
    """Work of a plan that no registered agent can do."""

    agent: str
    action: str | None
    """The action that no agent of the type has; None where there is no agent of the type."""

    tasks: Sequence[str]
    reason: str


async def read_unserved(connection: Connection, tasks: Iterable[Task]) -> Sequence[Unserved]:
    """Return the work that nobody can do now."""
    tasks = tuple(tasks)
    cursor = await connection.execute(
        "select agent_type, metadata->'actions' from views.agents_1"
        " where is_registered and role = 'execution' and agent_type = any(%s)",
        [sorted({task.agent for task in tasks})],
    )
    there: dict[str, list[Actions]] = {}
    for agent_type, actions in await cursor.fetchall():
        is_told = isinstance(actions, list)
        named = frozenset(map(str, cast("list[object]", actions))) if is_told else None
        there.setdefault(agent_type, []).append(named)
    return unserved(tasks, there)


def unserved(tasks: Iterable[Task], there: Mapping[str, Sequence[Actions]]) -> Sequence[Unserved]:
    """Return the work that nobody can do, by type and action.

    An agent that does not say what it can do is taken to be able to do everything.
    """
    lacking: dict[tuple[str, str | None], list[str]] = {}
    for task in tasks:
        if task.role != "execution":
            continue
        agents = there.get(task.agent, ())
        if not agents:
            lacking.setdefault((task.agent, None), []).append(task.id)
        elif not any(can is None or can & {task.action, ANYTHING} for can in agents):
            lacking.setdefault((task.agent, task.action), []).append(task.id)
    return [
        Unserved(
            agent=agent,
            action=action,
            tasks=names,
            reason=f"no agent of type {agent} is registered"
            if action is None
            else f"no {agent} that is registered can {action}",
        )
        for (agent, action), names in sorted(
            lacking.items(), key=lambda item: (item[0][0], item[0][1] or "")
        )
    ]
