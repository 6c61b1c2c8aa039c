"""Task graphs: what may be run, in which order. Everything is iterative; ties go by id."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from domain.errors import (
    CyclicGraph,
    DuplicateTask,
    EmptyGraph,
    GraphTooLarge,
    TooHeavy,
    UnknownDependency,
)
from domain.tasks import Task
from domain.weights import LARGEST_PARAMS, weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large a graph may be."""

    tasks: int = 10_000
    edges: int = 50_000
    depth: int = 10_000
    types: int = 128
    """Types of agents: each has queues of its own."""


LIMITS = Limits()


def check(
    tasks: Sequence[Task], *, known: Mapping[str, Task] | None = None, limits: Limits = LIMITS
) -> None:
    """Accept tasks that form a graph, alone or beside ``known`` tasks that are part of it already.

    Raises:
        BadGraph: It is empty, too large, or has duplicates, unknown dependencies or a cycle.
        TooHeavy: A task has more params than a message can carry.
    """
    known = known or {}
    if not tasks:
        raise EmptyGraph
    if len(tasks) + len(known) > limits.tasks:
        raise GraphTooLarge("tasks", len(tasks) + len(known), limits.tasks)
    counts = Counter(task.id for task in tasks)
    if twice := sorted(name for name, count in counts.items() if count > 1 or name in known):
        raise DuplicateTask(twice)
    missing = [
        (task.id, need)
        for task in tasks
        for need in task.needs
        if need not in counts and need not in known
    ]
    if missing:
        raise UnknownDependency(sorted(missing))
    if (edges := sum(len(task.needs) for task in tasks)) > limits.edges:
        raise GraphTooLarge("edges", edges, limits.edges)
    every = (*tasks, *known.values())
    types = {each for task in every for each in (task.agent, task.fallback) if each}
    if len(types) > limits.types:
        raise GraphTooLarge("types of agents", len(types), limits.types)
    depth = max(depths(tasks, known=known).values())
    if depth > limits.depth:
        raise GraphTooLarge("levels", depth, limits.depth)
    for task in tasks:
        if (has := weight(task.params)) > LARGEST_PARAMS:
            raise TooHeavy(f"the params of task {task.id} are too much", has, LARGEST_PARAMS)


def successors(tasks: Iterable[Task]) -> dict[str, list[str]]:
    """Return for every needed task the tasks that need it, in order of id."""
    after: dict[str, list[str]] = {}
    for task in tasks:
        for need in task.needs:
            after.setdefault(need, []).append(task.id)
    for names in after.values():
        names.sort()
    return after


def order(tasks: Sequence[Task], *, known: Mapping[str, Task] | None = None) -> list[str]:
    """Return the ids in an order that respects every edge; of free tasks, the least id first.

    Raises:
        CyclicGraph: Some tasks wait for each other.
    """
    known = known or {}
    unmet = {task.id: sum(need not in known for need in task.needs) for task in tasks}
    after = successors(tasks)
    free = [name for name, count in unmet.items() if count == 0]
    heapq.heapify(free)
    ordered: list[str] = []
    while free:
        name = heapq.heappop(free)
        ordered.append(name)
        for follower in after.get(name, ()):
            unmet[follower] -= 1
            if unmet[follower] == 0:
                heapq.heappush(free, follower)
    if len(ordered) < len(unmet):
        raise CyclicGraph(_cycle(tasks, stuck={name for name, count in unmet.items() if count}))
    return ordered


def depths(tasks: Sequence[Task], *, known: Mapping[str, Task] | None = None) -> dict[str, int]:
    """Return the level of every task: 1 for a root, else one more than its deepest need.

    Raises:
        CyclicGraph: Some tasks wait for each other.
    """
    by_id = {task.id: task for task in tasks}
    levels: dict[str, int] = {}
    for name in order(tasks, known=known):
        levels[name] = 1 + max((levels.get(need, 0) for need in by_id[name].needs), default=0)
    return levels


def downstream(
    start: str, after: Mapping[str, Sequence[str]], *, is_open: Callable[[str], bool]
) -> list[str]:
    """Return every open task that waits for ``start``, directly or not, in order of id.

    It looks past no task that is not open: what is behind it was found when it was closed.
    """
    seen: set[str] = set()
    front = [start]
    while front:
        for follower in after.get(front.pop(), ()):
            if follower not in seen and is_open(follower):
                seen.add(follower)
                front.append(follower)
    return sorted(seen)


def _cycle(tasks: Sequence[Task], *, stuck: set[str]) -> list[str]:
    """Walk back from the least stuck task until it meets itself: each has a stuck need."""
    needs = {
        task.id: [need for need in task.needs if need in stuck]
        for task in tasks
        if task.id in stuck
    }
    name = min(stuck)
    trail: dict[str, int] = {}
    while name not in trail:
        trail[name] = len(trail)
        # A task can be stuck only behind a cycle, without being on it: its needs lead there.
        name = min(needs[name])
    backwards = list(trail)[trail[name] :]
    cycle = backwards[::-1]
    least = cycle.index(min(cycle))
    return [*cycle[least:], *cycle[: least + 1]]
