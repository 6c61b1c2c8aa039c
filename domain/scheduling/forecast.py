"""When a run will end, event by event, and which event is to blame for every second of delay.

The forecast begins as the schedule. What an event tells of its task moves the task, what waits for
it, and perhaps the end: by how much, is charged to the event. The charges telescope, so that they
add up to exactly what the end has moved by.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from domain.graph import order
from domain.run_events import (
    RunCancelled,
    RunCompleted,
    RunEvent,
    RunExtended,
    RunFailed,
    RunRevised,
    RunStarted,
    TaskCancelled,
    TaskCompleted,
    TaskDispatched,
    TaskFailed,
    TaskLost,
    TaskSkipped,
    TaskStarted,
)
from domain.scheduling.courses import Course, revised
from domain.scheduling.promised import TICK, Promise, Ticks, promises_of
from domain.scheduling.schedules import Schedule
from domain.steering import RunResumed, RunRolledBack, TaskReopened
from domain.tasks import Task

Cause = Literal[
    "no_room", "no_agent", "duration", "failure", "agent_loss", "pause", "rework", "graph", "end"
]
"""What moves the end of a run.

``no_room``    a task was dispatched late: the limits of the run, or its pause, held it back
``no_agent``   a dispatched task was started late: no agent of its type was free, or there
``duration``   a task took longer, or less long, than estimated
``failure``    an attempt failed: what it had done is done again, or is in vain
``agent_loss`` an agent was lost with what it had done
``pause``      the run stood still
``rework``     what had been done, or given up, is to be done again
``graph``      tasks were added, skipped or cancelled, or the run was given another graph
``end``        the run ended at another moment than its last task
"""

CAUSES: Sequence[Cause] = get_args(Cause)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """By how much one event has moved the end."""

    position: int
    type: str
    task_id: str | None
    cause: Cause
    ticks: Ticks
    """Microseconds; less than 0 where it brought the end forward."""


MOST_CHARGED: Final = 1_000
"""Tasks; in a larger run too much would move with every event to charge each one."""


class Forecast:
    """A run's forecast, folded from its events.

    A run of more than ``MOST_CHARGED`` tasks at its start has a forecast and no charges.
    """

    def __init__(self, begun: RunStarted, at: datetime, schedule: Schedule) -> None:
        self.is_charged = True
        self.began = at
        self._options = begun.options
        self.courses: dict[str, Course] = {}
        self.charges: list[Charge] = []
        self._ends: list[tuple[Ticks, str]] = []
        self._add(promises_of(begun.tasks, schedule, begun.options))
        self.is_charged = len(begun.tasks) <= MOST_CHARGED
        self.planned = self.finish = self._last()
        """Microseconds from the start to the end: as planned, and as it looks now."""

        self.is_over = False

    @property
    def slip(self) -> Ticks:
        """By how much the end has moved."""
        return self.finish - self.planned

    def hear(self, event: RunEvent, at: datetime, position: int) -> None:
        """Move what an event moves, and charge the event with it."""
        now = (at - self.began) // TICK
        cause = self._move(event, now)
        if cause is None:
            return
        finish = now if cause == "end" else self._last()
        if finish != self.finish and not self.is_charged:
            self.finish = finish
        elif finish != self.finish:
            task_id = getattr(event, "task_id", None)
            self.charges.append(
                Charge(
                    position=position,
                    type=event.type,
                    task_id=task_id,
                    cause=cause,
                    ticks=finish - self.finish,
                )
            )
            self.finish = finish

    def _move(self, event: RunEvent, now: Ticks) -> Cause | None:
        match event:
            case TaskDispatched(task_id=name, delay=delay):
                self._hold([name], now + delay * 1_000_000)
                return "no_room"
            case TaskStarted(task_id=name):
                self.courses[name].started = now
                self._spread([name])
                return "no_agent"
            case TaskCompleted(task_id=name):
                self._end(name, now)
                return "duration"
            case TaskFailed(task_id=name, retry_in=retry_in):
                if retry_in is None:
                    self._end(name, now)
                else:
                    self._again([name], now + retry_in * 1_000_000)
                return "failure"
            case TaskLost(task_id=name):
                self._again([name], now)
                return "agent_loss"
            case TaskSkipped(task_id=name) | TaskCancelled(task_id=name):
                self._end(name, now)
                return "graph"
            case RunExtended(tasks=tasks):
                self._extend(tasks, now)
                return "graph"
            case RunRevised():
                self._revise(event, now)
                return "graph"
            case RunResumed():
                self.is_over = False
                self._hold(self._free(), now)
                return "pause"
            case RunRolledBack(tasks=names) | TaskReopened(tasks=names):
                self.is_over = False
                self._again(names, now)
                return "rework"
            case RunCompleted() | RunFailed() | RunCancelled():
                self.is_over = True
                return "end"
            case _:
                return None

    def _add(self, promises: Mapping[str, Promise]) -> None:
        for name, promise in promises.items():
            self.courses[name] = Course(promise=promise, before=[])
            for need in promise.after:
                self.courses[need].before.append(name)
        self._spread(promises)

    def _extend(self, tasks: Sequence[Task], now: Ticks) -> None:
        """Take in tasks that nobody had planned: they wait for their needs, and for no agent."""
        known = {name: course.promise.task for name, course in self.courses.items()}
        by_id = {task.id: task for task in tasks}
        added = {
            name: Promise(
                task=by_id[name],
                rank=rank,
                after=by_id[name].needs,
                duration=by_id[name].duration // TICK,
            )
            for rank, name in enumerate(order(tasks, known=known), start=len(known))
        }
        self._add(added)
        self._hold(added, now)

    def _revise(self, event: RunRevised, now: Ticks) -> None:
        """Go on with another graph."""
        self.courses = revised(self.courses, event, self._options, now)
        self._ends = [(-course.finish, name) for name, course in self.courses.items()]
        heapq.heapify(self._ends)
        self._spread(self.courses)

    def _free(self) -> Iterable[str]:
        """Return the tasks that have not begun, and wait for nothing but an agent."""
        for name, course in self.courses.items():
            if course.started is None and course.ended is None:
                needs = course.promise.task.needs
                if all(self.courses[need].ended is not None for need in needs):
                    yield name

    def _hold(self, names: Iterable[str], moment: Ticks) -> None:
        held = list(names)
        for name in held:
            self.courses[name].not_before = max(self.courses[name].not_before, moment)
        self._spread(held)

    def _again(self, names: Iterable[str], moment: Ticks) -> None:
        reopened = list(names)
        for name in reopened:
            course = self.courses[name]
            course.started = course.ended = None
            course.not_before = moment
        self._spread(reopened)

    def _end(self, name: str, now: Ticks) -> None:
        self.courses[name].ended = now
        self._spread([name])

    def _spread(self, names: Iterable[str]) -> None:
        """Reckon tasks anew, and whatever waits for those that have moved."""
        if not self.is_charged:
            return
        heap = [(self.courses[name].promise.rank, name) for name in names]
        heapq.heapify(heap)
        seen: set[str] = set()
        while heap:
            _, name = heapq.heappop(heap)
            if name in seen:
                continue
            seen.add(name)
            course = self.courses[name]
            start, finish = self._reckoned(course)
            has_moved = finish != course.finish
            course.start, course.finish = start, finish
            if has_moved:
                heapq.heappush(self._ends, (-finish, name))
                for follower in course.before:
                    heapq.heappush(heap, (self.courses[follower].promise.rank, follower))

    def _reckoned(self, course: Course) -> tuple[Ticks, Ticks]:
        if course.ended is not None:
            start = course.started if course.started is not None else course.ended
            return start, course.ended
        if course.started is not None:
            return course.started, course.started + course.promise.duration
        waits = (self.courses[need].finish for need in course.promise.after)
        start = max(course.not_before, max(waits, default=0))
        return start, start + course.promise.duration

    def _last(self) -> Ticks:
        """Return when the last task ends."""
        ends = self._ends
        while ends and self.courses[ends[0][1]].finish != -ends[0][0]:
            heapq.heappop(ends)
        return -ends[0][0] if ends else 0
