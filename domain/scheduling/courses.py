"""Where the tasks of a run stand in its forecast, and what another graph makes of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from domain.revisions import left_of_graph
from domain.run_events import RunRevised
from domain.run_options import RunOptions
from domain.scheduling.promised import Promise, Ticks, promises_of
from domain.scheduling.schedules import schedule_of
from domain.tasks import Task


@dataclass(slots=True, kw_only=True)
class Course:
    """Where one task stands in the forecast; moments are counted from the start of the run."""

    promise: Promise
    before: list[str]
    """What waits for it."""

    not_before: Ticks = 0
    started: Ticks | None = None
    ended: Ticks | None = None
    start: Ticks = 0
    finish: Ticks = 0


def revised(
    courses: Mapping[str, Course], event: RunRevised, options: RunOptions, now: Ticks
) -> dict[str, Course]:
    """Return the courses on another graph: what is left is scheduled anew, from now on.

    What is under way goes on; who has an agent in hand is scheduled as if it began now.
    """
    new = {task.id: task for task in (*event.modified, *event.added)}
    tasks = {name: course.promise.task for name, course in courses.items()} | new
    for name in event.removed:
        tasks.pop(name, None)
    again = {*new, *event.reopened}
    done = [n for n, each in courses.items() if n in tasks and n not in again and _is_over(each)]
    done.sort(key=lambda name: courses[name].promise.rank)
    met = frozenset(done)
    found = {
        name: replace(
            courses[name],
            promise=replace(courses[name].promise, rank=rank, after=_met(tasks[name], met)),
            before=[],
        )
        for rank, name in enumerate(done)
    }
    for name, promise in _promises(tasks, met, options).items():
        after = {*promise.after, *_met(tasks[name], met)}
        waits = replace(
            promise, task=tasks[name], rank=len(done) + promise.rank, after=tuple(sorted(after))
        )
        if name in again:
            found[name] = Course(promise=waits, before=[], not_before=now)
        else:
            found[name] = replace(courses[name], promise=waits, before=[])
    for name, course in found.items():
        for need in course.promise.after:
            found[need].before.append(name)
    return found


def _promises(
    tasks: Mapping[str, Task], met: frozenset[str], options: RunOptions
) -> Mapping[str, Promise]:
    left = left_of_graph(list(tasks.values()), met)
    return promises_of(left, schedule_of(left, options), options) if left else {}


def _met(task: Task, met: frozenset[str]) -> tuple[str, ...]:
    return tuple(need for need in task.needs if need in met)


def _is_over(course: Course) -> bool:
    return course.ended is not None
