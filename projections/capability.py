"""Whether the agents that are registered can do what a plan asks for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

from domain.values import JsonObject
from projections.table import Connection

ANYTHING = "*"
Actions = frozenset[str] | None
"""What an agent says it can do; None where it does not say."""


class Work(Protocol):
    """What is known of a task that somebody has to be able to do."""

    @property
    def id(self) -> str: ...  # noqa: D102

    @property
    def agent(self) -> str: ...  # noqa: D102

    @property
    def role(self) -> str: ...  # noqa: D102

    @property
    def action(self) -> str: ...  # noqa: D102


class Wanted(NamedTuple):
    """The same of a task as a graph keeps it."""

    id: str
    agent: str
    role: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unserved:
    """Work of a plan that no registered agent can do."""

    agent: str
    action: str | None
    """The action that no agent of the type has; None where there is no agent of the type."""

    tasks: Sequence[str]
    reason: str


def wanted(graph: Iterable[JsonObject]) -> Sequence[Wanted]:
    """Return what is wanted of agents by the tasks of a graph, as it is kept."""
    return [
        Wanted(str(task["id"]), str(task["agent"]), str(task["role"]), str(task["action"]))
        for task in graph
    ]


async def read_unserved(connection: Connection, tasks: Iterable[Work]) -> Sequence[Unserved]:
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


def unserved(tasks: Iterable[Work], there: Mapping[str, Sequence[Actions]]) -> Sequence[Unserved]:
    """Return the work that nobody can do, by type and action.

    An agent that does not say what it can do is taken to be able to do everything.
    """
    alike: dict[tuple[str, str], list[str]] = {}
    for task in tasks:
        if task.role == "execution":
            alike.setdefault((task.agent, task.action), []).append(task.id)
    lacking: dict[tuple[str, str | None], list[str]] = {}
    for (agent, action), names in alike.items():
        agents = there.get(agent, ())
        if not agents:
            lacking.setdefault((agent, None), []).extend(names)
        elif not any(can is None or can & {action, ANYTHING} for can in agents):
            lacking.setdefault((agent, action), []).extend(names)
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
