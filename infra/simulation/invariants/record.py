"""Whether the log tells a story that can be true."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from domain.plan import PlanCancelRequested
from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import (
    ReportIgnored,
    RunCancelled,
    RunCompleted,
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
    TaskTimedOut,
)
from domain.run_options import RunOptions
from domain.steering import (
    RunCancelRequested,
    RunPaused,
    RunResumed,
    RunRolledBack,
    TaskReopened,
)
from domain.tasks import Task
from infra.simulation.workload import Acknowledged
from infra.simulation.world import Violation

_ENDS = {"completed", "failed", "skipped", "cancelled"}
_FLYING = {"dispatched", "started"}
_OVER = {f"{kind}.{end}" for kind in ("run", "plan") for end in _ENDS}


def promises(
    promised: Sequence[Acknowledged], events: Sequence[Recorded[Event]]
) -> Iterator[Violation]:
    """Find answers that the log does not keep."""
    by_place = {(event.id, event.position): event for event in events}
    for one in promised:
        for told in one.outcome.events:
            kept = by_place.get((told.id, told.position))
            if kept is None or kept.event != told.event:
                yield Violation(
                    "I1", f"{one.report.id} was promised {told.type}, and it is not kept"
                )
        yield from _called_off(one, events)
    for report_id, stream in {(one.report.id, one.report.stream) for one in promised}:
        streams = {event.stream for event in events if event.causation_id == report_id}
        if streams - {stream}:
            yield Violation("I1", f"{report_id} led to events in {sorted(streams)}")


def _called_off(one: Acknowledged, events: Sequence[Recorded[Event]]) -> Iterator[Violation]:
    """Find cancellations that were answered although nothing was over or ended by them."""
    if not isinstance(one.report.body, RunCancelRequested | PlanCancelRequested):
        return
    if one.outcome.events:
        return
    end = next(
        (
            event.version
            for event in events
            if event.stream == one.report.stream and event.type in _OVER
        ),
        None,
    )
    if end is None or end > one.outcome.version:
        yield Violation("I1", f"{one.report.id} was promised, and {one.report.stream} went on")


def order(
    events: Sequence[Recorded[Event]], seen: Sequence[Recorded[Event]]
) -> Iterator[Violation]:
    """Find gaps and doubles, and what a follower of the log has missed."""
    versions: dict[str, list[int]] = {}
    ids: set[str] = set()
    for event in events:
        versions.setdefault(event.stream, []).append(event.version)
        if event.id in ids and not _may_be_repeated(event):
            yield Violation("I2", f"{event.id} is recorded twice ({event.type} in {event.stream})")
        ids.add(event.id)
    for stream, found in versions.items():
        if found != list(range(1, len(found) + 1)):
            yield Violation("I2", f"the versions of {stream} are {found}")
    missed = ids - {event.id for event in seen}
    if missed:
        places = sorted(event.position for event in events if event.id in missed)
        yield Violation("I3", f"a follower has never seen the events at {places[:5]}")
    for before, after in pairwise(events):
        if before.position >= after.position:
            yield Violation("I3", f"position {after.position} comes after {before.position}")


def _may_be_repeated(event: Recorded[Event]) -> bool:
    """Tell whether an event changes nothing when it is recorded again.

    No state remembers what was ignored; and an agent may come back as it was, so that its first
    hello is taken for another one when it is delivered again after its goodbye.
    """
    return isinstance(event.event, ReportIgnored) or event.stream.startswith("agent:")


@dataclass(slots=True)
class _Life:
    """Where a task stands, by the log alone."""

    task: Task
    status: str = "pending"
    epoch: int = 0
    agent_id: str = ""
    instead: str = ""
    failures: int = 0
    losses: int = 0
    is_waived: bool = False
    """Whether a person said that it need not be done."""

    history: list[str] = field(default_factory=list[str])


_Step = (
    TaskDispatched
    | TaskStarted
    | TaskCompleted
    | TaskFailed
    | TaskLost
    | TaskSkipped
    | TaskCancelled
    | TaskTimedOut
)


class Lives:
    """Follows the log, and finds steps of tasks and runs that no rule allows."""

    def __init__(self) -> None:
        self._runs: dict[str, dict[str, _Life]] = {}
        self._options: dict[str, RunOptions] = {}
        self._paused: set[str] = set()
        self._over: dict[str, str] = {}

    def hear(self, event: Event) -> Iterator[Violation]:
        """Find what is wrong with the next event."""
        match event:
            case RunStarted(run_id=run_id, tasks=tasks, options=options):
                self._options[run_id] = options
                if run_id in self._runs:
                    yield Violation("I6", f"{run_id} began twice")
                self._runs[run_id] = {task.id: _Life(task) for task in tasks}
            case RunExtended(run_id=run_id, tasks=tasks):
                self._runs[run_id] |= {task.id: _Life(task) for task in tasks}
            case RunRevised():
                yield from self._revise(event)
            case RunPaused(run_id=run_id):
                self._paused.add(run_id)
            case RunResumed(run_id=run_id):
                self._paused.discard(run_id)
                self._over.pop(run_id, None)
            case TaskReopened(run_id=run_id, tasks=names):
                self._begin_again(run_id, names)
            case RunRolledBack(run_id=run_id, tasks=names):
                self._paused.add(run_id)
                self._over.pop(run_id, None)
                self._begin_again(run_id, names)
            case RunCompleted() | RunFailed() | RunCancelled():
                yield from self._end(event.run_id, event.type)
            case (
                TaskDispatched()
                | TaskStarted()
                | TaskCompleted()
                | TaskFailed()
                | TaskLost()
                | TaskSkipped()
                | TaskCancelled()
                | TaskTimedOut()
            ):
                tasks_of_run = self._runs.get(event.run_id, {})
                life = tasks_of_run.get(event.task_id)
                if life is None:
                    yield Violation("I6", f"{event.type} of {event.task_id}, which does not exist")
                else:
                    yield from _step(tasks_of_run, life, event)
                    if isinstance(event, TaskDispatched):
                        yield from self._may_dispatch(event)
            case _:
                pass

    def _revise(self, event: RunRevised) -> Iterator[Violation]:
        """Take another graph; what is done may not be undone by it."""
        lives = self._runs[event.run_id]
        for name in sorted(event.was):
            if lives[name].status == "completed" or lives[name].is_waived:
                yield Violation("I6", f"{event.run_id}/{name} was done, and is undone")
        for name in event.removed:
            del lives[name]
        for task in (*event.modified, *event.added):
            was = lives.get(task.id)
            lives[task.id] = _Life(task, epoch=was.epoch if was else 0)
        self._begin_again(event.run_id, event.reopened)

    def _begin_again(self, run_id: str, names: Sequence[str]) -> None:
        for name in names:
            life = self._runs[run_id][name]
            self._runs[run_id][name] = _Life(life.task, epoch=life.epoch)

    def _may_dispatch(self, event: TaskDispatched) -> Iterator[Violation]:
        """Find dispatches of a run that rests, and more of them than it allows."""
        run_id, options = event.run_id, self._options[event.run_id]
        if run_id in self._paused:
            yield Violation("I6", f"{event.task_id} was dispatched while {run_id} rests")
        flying = [one for one in self._runs[run_id].values() if one.status in _FLYING]
        if options.execution_mode == "sequential" and len(flying) > 1:
            yield Violation("I6", f"{len(flying)} tasks of {run_id}, which is sequential")
        most = options.most_at_once(event.agent)
        alike = sum((one.instead or one.task.agent) == event.agent for one in flying)
        if most is not None and alike > most:
            yield Violation("I6", f"{alike} tasks of {run_id} for {event.agent}, at most {most}")

    def _end(self, run_id: str, how: str) -> Iterator[Violation]:
        if run_id in self._over:
            yield Violation("I5", f"{run_id} ended twice: {self._over[run_id]}, {how}")
        self._over[run_id] = how
        lacking = [name for name, life in self._runs[run_id].items() if life.status not in _ENDS]
        if lacking:
            yield Violation("I6", f"{how} of {run_id}, but {lacking} have not ended")


def _step(tasks: Mapping[str, _Life], life: _Life, event: _Step) -> Iterator[Violation]:
    name = f"{event.run_id}/{event.task_id}"
    life.history.append(event.type)
    if isinstance(event, TaskSkipped) and event.is_waived and life.status != "completed":
        life.status, life.is_waived = "skipped", True  # a person may waive what ended badly
        return
    if life.status in _ENDS:
        yield Violation("I5", f"{event.type} of {name} after it was {life.status}")
        return
    match event:
        case TaskDispatched():
            yield from _dispatch(name, tasks, life, event)
        case TaskStarted():
            yield from _current(name, life, event.epoch, ("dispatched",))
            life.status, life.agent_id = "started", event.agent_id
        case TaskCompleted():
            yield from _current(name, life, event.epoch, ("started",), event.agent_id)
            life.status = "completed"
        case TaskFailed():
            yield from _fail(name, life, event)
        case TaskLost():
            yield from _current(name, life, event.epoch, ("started",), event.agent_id)
            life.status, life.losses = "lost", life.losses + 1
        case TaskSkipped():
            life.status = "skipped"
        case TaskCancelled():
            life.status = "cancelled"
        case TaskTimedOut():
            yield from _current(name, life, event.epoch, ("dispatched", "started"))


def _dispatch(
    name: str, tasks: Mapping[str, _Life], life: _Life, event: TaskDispatched
) -> Iterator[Violation]:
    if life.status not in ("pending", "lost"):
        yield Violation("I6", f"{name} was dispatched while it was {life.status}")
    if event.epoch != life.epoch + 1:
        yield Violation("I6", f"epoch {event.epoch} of {name} follows epoch {life.epoch}")
    for need in life.task.needs:
        if tasks[need].status != "completed" and not tasks[need].is_waived:
            yield Violation("I13", f"{name} was dispatched before {need} was done")
    life.status, life.epoch, life.agent_id = "dispatched", event.epoch, ""
    life.instead = event.agent


def _fail(name: str, life: _Life, event: TaskFailed) -> Iterator[Violation]:
    is_last = event.retry_in is None
    if life.status == "lost":  # the last of too many losses, or of an effect that is unknown
        life.status = "failed" if is_last else "pending"
        return
    yield from _current(name, life, event.epoch, ("started", "dispatched"))
    if life.status == "started" and event.agent_id != life.agent_id:
        yield Violation("I8", f"{event.agent_id} failed {name}, which {life.agent_id} holds")
    life.failures += 1
    types = 1 + (life.task.fallback is not None)
    if life.failures > life.task.retry.attempts * types:
        yield Violation("I6", f"{name} failed {life.failures} times")
    life.status = "failed" if is_last else "pending"


def _current(
    name: str, life: _Life, epoch: int, states: Sequence[str], agent_id: str | None = None
) -> Iterator[Violation]:
    if epoch != life.epoch:
        yield Violation("I8", f"epoch {epoch} of {name} counted at epoch {life.epoch}")
    elif life.status not in states:
        yield Violation("I6", f"{life.history[-1]} of {name} while it was {life.status}")
    elif agent_id is not None and agent_id != life.agent_id:
        yield Violation("I8", f"{agent_id} spoke for {name}, which {life.agent_id} holds")
