"""The course of a run within one decision: the events so far, and the state they lead to.

Whatever a decision begins with, it ends the same way: what is ready is dispatched as far as there
is room, and a run with nothing left to do ends.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain.errors import TooHeavy
from domain.gathering import after_failure
from domain.graph import downstream
from domain.persistent import PersistentQueue, first_of, rest_of
from domain.run import ENDED, Run, line_at
from domain.run_events import (
    Deadlines,
    RunCompleted,
    RunEvent,
    RunFailed,
    TaskCancelled,
    TaskDispatched,
    TaskFailed,
    TaskSkipped,
)
from domain.run_evolution import evolve
from domain.run_impact import replan_requested
from domain.tasks import Task
from domain.teams import TEAMS
from domain.usage import left_of
from domain.weights import LARGEST_INPUTS, MOST_AT_ONCE, weight

_SHOWN = 20


class Course:
    """What has been decided so far."""

    def __init__(self, run: Run, now: datetime, *, begun_by: Sequence[RunEvent] = ()) -> None:
        self.run = run
        self.now = now
        self.events: list[RunEvent] = list(begun_by)

    def tell(self, *events: RunEvent) -> None:
        """Add events, and move the run on."""
        for event in events:
            self.run = evolve(self.run, event)
            self.events.append(event)

    def go_on(self) -> Sequence[RunEvent]:
        """Dispatch what is ready, end a run with nothing left to do, and return all events."""
        if self.run.status == "running":
            for place in sorted(self.run.ready):
                self._dispatch_from(place)
        if self.run.open == 0 and not self.run.is_over and not self.run.is_replanning:
            self.tell(_end_of(self.run))
        return self.events

    def cancel_rest(self) -> None:
        """Cancel every task that has not ended."""
        states = self.run.states
        unfinished = sorted(name for name, state in states.items() if state.status not in ENDED)
        for name in unfinished:
            state = states[name]
            self.tell(
                TaskCancelled(
                    run_id=self.run.id,
                    task_id=name,
                    epoch=state.epoch,
                    agent_id=state.agent_id if state.status == "started" else None,
                )
            )

    def give_up(self, failed: TaskFailed) -> None:
        """Record a failure that is final, and what the run makes of it."""
        self.tell(failed)
        if spared := tuple(after_failure(self.run, failed.task_id)):
            self.tell(*spared)
            return
        run = self.run
        strategy = run.options.failure_strategy
        if not run.is_replanning and run.can_ask_for_a_plan:
            self.tell(replan_requested(run, failed.reason, task_id=failed.task_id))
        if self.run.is_replanning:
            return  # what waits for it may be spared yet
        if strategy == "fail_fast":
            self.cancel_rest()
        else:
            self.skip_behind(failed.task_id)
        if self.run.open == 0 and strategy != "best_effort":
            self.tell(_failed(run, f"task {failed.task_id} failed: {failed.reason}"))

    def skip_behind(self, task_id: str) -> None:
        """Skip what can never run, because it needs a task that did not end well."""
        run = self.run
        for name in downstream(
            task_id, run.after, is_open=lambda name: run.states[name].status == "pending"
        ):
            self.tell(TaskSkipped(run_id=run.id, task_id=name, because=task_id))

    def _dispatch_from(self, place: str) -> None:
        line = line_at(place)
        while self.run.has_room(line):
            queue: PersistentQueue[str] | None = self.run.ready.get(place)
            while queue and not self.run.is_next_in(place, first_of(queue)):
                queue = rest_of(queue)
            if not queue:
                return
            self.tell(dispatched(self.run, first_of(queue), self.now))


def dispatched(run: Run, task_id: str, now: datetime) -> TaskDispatched:
    """Return the next attempt at a task."""
    task, state = run.tasks[task_id], run.states[task_id]
    return TaskDispatched(
        run_id=run.id,
        plan_id=run.plan_id,
        task_id=task_id,
        epoch=state.epoch + 1,
        agent=run.agent_type_of(task_id),
        role=task.role,
        lane=run.priority,
        name=task.name,
        action=task.action,
        params=task.params,
        inputs=run.inputs_of(task),
        delay=state.delay,
        effect=task.effect,
        deadlines=_deadlines(task, state.end_by, now + timedelta(seconds=state.delay)),
        budget=None if task.budget is None else left_of(task.budget, state.spent),
    )


def check_weight(run: Run, freed: Sequence[str]) -> None:
    """Accept results with which the work that they free can be sent.

    Raises:
        TooHeavy: They are too much for one of the tasks that asked for them, or for all together.
    """
    weights: dict[str, int] = {}
    together = 0
    for name in freed:
        inputs = run.tasks[name].inputs
        if not inputs:
            continue
        for source in inputs.values():
            if source not in weights:
                weights[source] = weight(run.results.get(source, {}))
        given = weight(inputs) + sum(weights[source] for source in inputs.values())
        if given > LARGEST_INPUTS:
            raise TooHeavy(f"what task {name} asked for is too much", given, LARGEST_INPUTS)
        together += given
    if together > MOST_AT_ONCE:
        raise TooHeavy(
            f"what {len(freed)} tasks asked for is too much at once", together, MOST_AT_ONCE
        )


def _deadlines(task: Task, end_by: datetime | None, now: datetime) -> Deadlines | None:
    limits = task.timeouts
    if limits.total is not None and end_by is None:
        end_by = now + timedelta(seconds=limits.total)
    deadlines = Deadlines(
        start_by=None if limits.start is None else now + timedelta(seconds=limits.start),
        end_by=end_by,
        run_seconds=limits.run,
        lease_seconds=limits.heartbeat,
    )
    return deadlines if deadlines != _NONE else None


_NONE = Deadlines()


def _end_of(run: Run) -> RunEvent:
    answer = TEAMS[run.kind].answer
    result = {} if answer is None else run.results.get(answer, {})
    missing: tuple[str, ...] = ()
    if run.unhappy:
        failed = sorted(n for n, s in run.states.items() if s.status == "failed")
        if run.options.failure_strategy != "best_effort":
            return _failed(run, f"tasks failed: {', '.join(failed[:_SHOWN])}")
        lacking = (n for n, s in run.states.items() if s.status in ENDED and not s.is_met)
        missing = tuple(sorted(lacking)[:_SHOWN])
    return RunCompleted(
        run_id=run.id, plan_id=run.plan_id, kind=run.kind, result=result, missing=missing
    )


def _failed(run: Run, reason: str) -> RunFailed:
    return RunFailed(run_id=run.id, plan_id=run.plan_id, kind=run.kind, reason=reason[:4_000])
