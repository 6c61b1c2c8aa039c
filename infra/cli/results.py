"""What a plan has led to, for a person to check, or as JSON."""

import json
from collections import Counter
from typing import Any

from domain.tasks import Task
from domain.values import JsonObject
from infra.cli.output import out, print_table, seconds, table
from infra.cli.progress import Phase, Progress

MOST = 60
"""Lines of a table; a graph of thousands is not for the eye."""

WIDEST = 100
"""Characters of a result that says nothing in short."""


def as_json(progress: Progress) -> dict[str, Any]:
    """Return the result as one JSON object."""
    plan, phase = progress.plan, progress.execution
    return {
        "plan_id": progress.plan_id,
        "execution_id": phase.run.id if phase else None,
        "status": plan.status if plan else None,
        "reason": plan.reason if plan else None,
        "tasks": dict(Counter(task.agent for task in plan.tasks)) if plan else {},
        "critical_path": list(progress.schedule.path) if progress.schedule else [],
        "estimated_seconds": progress.schedule.makespan if progress.schedule else None,
        "deliverables": {task.id: phase.results.get(task.id) for task in _deliverables(progress)}
        if phase
        else {},
        "failed": phase.reasons if phase else {},
        "elapsed_seconds": _elapsed(progress),
        "events": dict(progress.counts),
        "messages": _messages(progress.counts),
    }


def show(progress: Progress) -> None:
    """Print the result."""
    plan, phase = progress.plan, progress.execution
    if plan is None:
        return
    _show_counts(progress)
    if phase is None:
        return
    _show_critical_path(progress, phase)
    _show_deliverables(progress, phase)
    counts = progress.counts
    messages = _messages(counts)
    out().print(
        f"{sum(counts.values())} events recorded, {sum(messages.values())} messages carried"
        f" ({messages['events']} events, {messages['work']} work, {messages['reports']} reports)"
        f" in {seconds(_elapsed(progress))}"
    )


def show_failures(progress: Progress) -> None:
    """Print which tasks did not end well, and why."""
    phases = [phase for phase in (progress.planning, progress.execution) if phase is not None]
    rows = [(task, why) for phase in phases for task, why in phase.reasons.items()]
    if not rows:
        return
    made = table("task", "why it did not end well")
    for task_id, reason in rows[:MOST]:
        made.add_row(task_id, reason)
    print_table(made)


def _show_counts(progress: Progress) -> None:
    plan, phase = progress.plan, progress.execution
    if plan is None or not plan.tasks:
        return
    made = table("domain", ">tasks", ">completed", ">estimated work", ">cost")
    kinds: dict[str, list[Task]] = {}
    for task in plan.tasks:
        kinds.setdefault(task.agent, []).append(task)
    for kind, tasks in sorted(kinds.items()):
        completed = phase.tallies[kind]["completed"] if phase and kind in phase.tallies else 0
        work = sum(task.duration.total_seconds() for task in tasks)
        cost = sum(task.cost for task in tasks)
        made.add_row(kind, str(len(tasks)), str(completed), seconds(work), f"{cost:,.0f}")
    work = sum(task.duration.total_seconds() for task in plan.tasks)
    cost = sum(task.cost for task in plan.tasks)
    done = phase.tally("completed") if phase else 0
    made.add_section()
    made.add_row("all", str(len(plan.tasks)), str(done), seconds(work), f"{cost:,.0f}")
    print_table(made)


def _show_critical_path(progress: Progress, phase: Phase) -> None:
    schedule, plan = progress.schedule, progress.plan
    if schedule is None or plan is None:
        return
    tasks = {task.id: task for task in plan.tasks}
    made = table("critical path", "agent", "task", ">starts after", ">estimated", ">took here")
    for task_id in schedule.path[:MOST]:
        task, timed = tasks[task_id], phase.times.get(task_id)
        made.add_row(
            task_id,
            task.agent,
            task.name,
            seconds(schedule.timings[task_id].earliest_start),
            seconds(task.duration.total_seconds()),
            seconds(timed.seconds) if timed else "",
        )
    print_table(made)
    more = f" (the first {MOST} are shown)" if len(schedule.path) > MOST else ""
    out().print(
        f"{len(schedule.path)} of {len(plan.tasks)} tasks are critical{more}: at least"
        f" {seconds(schedule.makespan)} of {seconds(schedule.work)} of work;"
        f" {schedule.parallelization_ratio:.0%} of it can overlap\n"
    )


def _show_deliverables(progress: Progress, phase: Phase) -> None:
    """Print what each task has found, so that a person can follow the numbers from one to another.

    Of a large graph only the deliverables are printed.
    """
    tasks = _deliverables(progress)
    marked = {task.id for task in tasks if task.deliverable}
    plan = progress.plan
    if plan is not None and len(plan.tasks) <= MOST:
        tasks = [task for task in plan.tasks if phase.results.get(task.id)]
    if not tasks:
        return
    made = table("", "task", "agent", "what was found")
    for task in tasks[:MOST]:
        found = _in_short(phase.results.get(task.id, {}))
        made.add_row("★" if task.id in marked else "", f"{task.id} {task.name}", task.agent, found)
    print_table(made)
    if marked:
        out().print(f"★ {len(marked)} deliverables: what the goal asked for\n")


def _in_short(result: JsonObject) -> str:
    """Return what a result says of itself, else its JSON as far as a line goes."""
    if "summary" in result:
        return str(result["summary"])
    text = json.dumps(result, ensure_ascii=False) if result else ""
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _deliverables(progress: Progress) -> list[Task]:
    """Return what the goal asked for; where nothing is marked, whatever has a result."""
    plan, phase = progress.plan, progress.execution
    if plan is None or phase is None:
        return []
    marked = [task for task in plan.tasks if task.deliverable]
    return marked or [task for task in plan.tasks if phase.results.get(task.id)]


def _messages(counts: Counter[str]) -> dict[str, int]:
    """Return how many messages the broker carried for these events, as the protocol has it."""
    reports = ("task.started", "task.completed", "task.failed", "report.ignored")
    return {
        "events": sum(counts.values()),
        "work": counts["task.dispatched"],
        "reports": sum(counts[one] for one in reports),
    }


def _elapsed(progress: Progress) -> float:
    if progress.began is None or progress.at is None:
        return 0.0
    return (progress.at - progress.began).total_seconds()
