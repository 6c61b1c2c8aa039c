"""How a linked plan stands to what the goal allows: time, money, and the hands there are."""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import ceil

from agents.planners.linking import Linked
from agents.planners.scope import Scope
from domain.findings import GOAL, Conflict, Origin
from domain.tasks import Task

TIMELINE, BUDGET = "timeline", "budget"


def against_goal(linked: Linked, path: Sequence[str], hours: float, scope: Scope) -> list[Conflict]:
    """Return where the plan and the goal's constraints cannot both be kept.

    ``path`` is the critical path, ``hours`` how long it takes.
    """
    by_id = {task.id: task for task in linked.tasks}
    return [
        *_late(linked, [by_id[name] for name in path], hours, scope),
        *_overworked(linked, scope),
        *_dear(linked, scope),
    ]


def _late(linked: Linked, path: Sequence[Task], hours: float, scope: Scope) -> Iterator[Conflict]:
    if scope.hours is None or hours <= scope.hours:
        return
    longest = max(path, key=lambda task: (task.duration, task.id))
    yield Conflict(
        kind="constraint",
        subject=TIMELINE,
        origins=(_origin(linked, longest), Origin(domain=GOAL, key=TIMELINE)),
        decision=f"the plan takes {hours / 24:.1f} days; there are {scope.hours / 24:g}:"
        f" nothing is cut, and {longest.name} is the longest of what is critical",
    )


def _overworked(linked: Linked, scope: Scope) -> Iterator[Conflict]:
    if scope.hours is None:
        return
    work = Counter[str]()
    for task in linked.tasks:
        work[task.agent] += round(task.duration.total_seconds())
    for agent, seconds in sorted(work.items()):
        hours = seconds / 3600
        if hours <= scope.hours:
            continue
        own = [task for task in linked.tasks if task.agent == agent]
        longest = max(own, key=lambda task: (task.duration, task.id))
        yield Conflict(
            kind="resource",
            subject=agent,
            origins=(_origin(linked, longest), Origin(domain=GOAL, key=TIMELINE)),
            decision=f"{agent} has {hours:.0f} hours of work in {scope.hours:g} hours:"
            f" it takes {ceil(hours / scope.hours)} agents at least",
        )


def _dear(linked: Linked, scope: Scope) -> Iterator[Conflict]:
    budget = scope.goal.constraints.budget
    cost = sum(task.cost for task in linked.tasks)
    if budget is None or cost <= budget:
        return
    dearest = max(linked.tasks, key=lambda task: (task.cost, task.id))
    yield Conflict(
        kind="constraint",
        subject=BUDGET,
        origins=(_origin(linked, dearest), Origin(domain=GOAL, key=BUDGET)),
        decision=f"the work costs {cost:,.0f}; the budget is {budget:,.0f}:"
        f" nothing is cut, and {dearest.name} costs most",
    )


def _origin(linked: Linked, task: Task) -> Origin:
    domain, key = linked.keys[task.id]
    return Origin(domain=domain, key=key, rule=task.origin.partition(": ")[2], task_id=task.id)
