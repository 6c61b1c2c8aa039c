"""How each event changes a run."""

from collections.abc import Mapping, Sequence
from typing import assert_never

from domain.changed import changed
from domain.graph import successors
from domain.persistent import PersistentMap
from domain.run import ENDED, Checkpoint, Run, TaskState
from domain.run_costs import charged, ended_untold, heard_late
from domain.run_events import (
    GatherClosed,
    ReplanRefused,
    ReplanRequested,
    ReportIgnored,
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
    TaskStopped,
    TaskTimedOut,
)
from domain.run_going_back import reopened, revised, rolled_back
from domain.run_lines import enqueued, with_state, without
from domain.scheduling.urgency import tails_of, urgencies
from domain.steering import (
    RunCheckpointed,
    RunPaused,
    RunResumed,
    RunRolledBack,
    SteeringEvent,
    TaskReopened,
)
from domain.tasks import Task
from domain.teams import TEAMS

_Granted = (
    RunPaused
    | RunResumed
    | RunRolledBack
    | TaskReopened
    | TaskSkipped
    | ReplanRequested
    | RunCancelled
)
_WholeRunEvent = (
    RunExtended
    | ReplanRequested
    | ReplanRefused
    | RunRevised
    | RunCompleted
    | RunFailed
    | RunCancelled
    | SteeringEvent
)

MOST_CHECKPOINTS = 100
"""The oldest ones are forgotten."""

MOST_GRANTED = 100
"""A wish that is heard again after so many others would be granted again."""


def evolve(run: Run | None, event: RunEvent) -> Run:
    """Return the run after one more event."""
    if isinstance(event, RunStarted):
        return _begin(event)
    assert run is not None, f"{event.type} before run.started"  # noqa: S101 # the log begins with it
    match event:
        case TaskDispatched():
            return _dispatch(run, event)
        case TaskStarted(task_id=task_id, agent_id=agent_id):
            state = changed(run.states[task_id], status="started", agent_id=agent_id)
            return changed(run, states=run.states.insert(task_id, state))
        case TaskCompleted():
            return _complete(run, event)
        case TaskFailed():
            return _fail(run, event)
        case TaskLost(task_id=task_id, epoch=epoch, agent_id=agent_id):
            was = ended_untold(run.tasks[task_id], run.states[task_id], event)
            lost = changed(was, status="lost", losses=was.losses + 1, ended=(epoch, agent_id))
            return enqueued(with_state(run, task_id, lost), [task_id])
        case TaskSkipped():
            return _skip(_remember(run, event), event)
        case TaskCancelled(task_id=task_id):
            cancelled = changed(run.states[task_id], status="cancelled")
            return _end_badly(run, task_id, cancelled)
        case TaskStopped(task_id=task_id, calls=calls):
            was = run.states[task_id]
            return with_state(run, task_id, changed(was, agent_id="", spent=charged(was, calls)))
        case TaskTimedOut(task_id=task_id):
            return _put(run, task_id, ended_untold(run.tasks[task_id], run.states[task_id], event))
        case ReportIgnored(task_id=task_id) if task_id in run.gone and not run.state(task_id):
            return run
        case ReportIgnored(task_id=task_id):
            return _put(run, task_id, heard_late(run.tasks[task_id], run.states[task_id], event))
        case GatherClosed():
            return run
        case _:
            return _move(run, event)


def _move(run: Run, event: _WholeRunEvent) -> Run:
    if isinstance(event, _Granted):
        run = _remember(run, event)
    match event:
        case RunExtended(tasks=tasks):
            return _extend(run, tasks)
        case TaskReopened(tasks=names):
            return reopened(run, names)
        case ReplanRequested():
            return changed(run, is_replanning=True, replans=run.replans + 1)
        case ReplanRefused():
            return changed(run, is_replanning=False)
        case RunRevised():
            return revised(run, event)
        case RunCheckpointed(checkpoint=checkpoint, at=at, completed=completed):
            new = Checkpoint(id=checkpoint, at=at, completed=completed)
            kept = (*run.checkpoints, new)[-MOST_CHECKPOINTS:]
            return changed(run, checkpoints=kept, marked=run.marked + 1)
        case RunRolledBack():
            return rolled_back(run, event)
        case RunPaused():
            return changed(run, status="paused")
        case RunResumed():
            return changed(run, status="running")
        case RunCompleted():
            return changed(run, status="completed")
        case RunFailed():
            return changed(run, status="failed")
        case RunCancelled():
            return changed(run, status="cancelled", is_replanning=False)
        case _:
            assert_never(event)


def _remember(run: Run, event: _Granted) -> Run:
    """Return the run that knows which wish it has granted, where the event follows from one."""
    if not event.request or event.request in run.granted:
        return run
    return changed(run, granted=(*run.granted, event.request)[-MOST_GRANTED:])


def _begin(event: RunStarted) -> Run:
    after = successors(event.tasks)
    tails = tails_of(event.tasks)
    span = max(tails.values(), default=0.0)
    run = Run(
        id=event.run_id,
        plan_id=event.plan_id,
        kind=event.kind,
        revision=event.revision,
        priority=event.priority,
        options=event.options,
        status="running",
        tasks=PersistentMap({task.id: task for task in event.tasks}),
        after=PersistentMap({name: tuple(followers) for name, followers in after.items()}),
        states=PersistentMap(
            {task.id: TaskState(waits_for=len(task.needs)) for task in event.tasks}
        ),
        results=PersistentMap(),
        ready=PersistentMap(),
        in_flight=PersistentMap(),
        open=len(event.tasks),
        span=span,
        urgency=_urgency(PersistentMap(), tails, span),
    )
    return enqueued(run, sorted(task.id for task in event.tasks))


def _extend(run: Run, new: Sequence[Task]) -> Run:
    after, tasks, states = run.after, run.tasks, run.states
    for name, followers in successors(new).items():
        after = after.insert(name, tuple(sorted({*after.get(name, ()), *followers})))
    for task in new:
        unmet = sum(not _is_met(run, need) for need in task.needs)
        states = states.insert(task.id, TaskState(waits_for=unmet))
        tasks = tasks.insert(task.id, task)
    urgency = _urgency(run.urgency, tails_of(new), run.span)
    extended = changed(
        run, tasks=tasks, after=after, states=states, open=run.open + len(new), urgency=urgency
    )
    return enqueued(extended, sorted(task.id for task in new))


def _urgency(
    known: PersistentMap[str, int], tails: Mapping[str, float], span: float
) -> PersistentMap[str, int]:
    for name, degree in urgencies(tails, span).items():
        if degree:
            known = known.insert(name, degree)
    return known


def _is_met(run: Run, task_id: str) -> bool:
    state = run.states.get(task_id)
    return state is not None and state.is_met


def _dispatch(run: Run, event: TaskDispatched) -> Run:
    task_id = event.task_id
    was = run.states[task_id]
    state = changed(
        was,
        status="dispatched",
        epoch=event.epoch,
        agent_id="",
        delay=0,
        end_by=event.deadlines.end_by if event.deadlines else None,
    )
    return changed(
        run,
        states=run.states.insert(task_id, state),
        ready=without(run, run.place_of(task_id), task_id),
        in_flight=run.in_flight.insert(event.agent, run.in_flight.get(event.agent, 0) + 1),
    )


def _complete(run: Run, event: TaskCompleted) -> Run:
    task_id = event.task_id
    done = run.done + 1
    was = run.states[task_id]
    state = changed(
        was,
        status="completed",
        agent_id=event.agent_id,
        done=done,
        spent=charged(was, event.calls),
    )
    results = run.results
    team = TEAMS[run.kind]
    is_kept = team.grows or team.answer == task_id or run.options.failure_strategy == "replan"
    if is_kept or _is_asked_for(run, task_id):
        results = results.insert(task_id, event.result)
    moved = with_state(run, task_id, state)
    completed = changed(moved, results=results, open=run.open - 1, done=done)
    return _free_followers(completed, task_id)


def _is_asked_for(run: Run, task_id: str) -> bool:
    return any(task_id in run.tasks[name].inputs.values() for name in run.after.get(task_id, ()))


def _free_followers(run: Run, task_id: str) -> Run:
    followers = run.after.get(task_id, ())
    states = run.states
    for name in followers:
        states = states.insert(name, changed(states[name], waits_for=states[name].waits_for - 1))
    return enqueued(changed(run, states=states), followers)


def _fail(run: Run, event: TaskFailed) -> Run:
    was = run.states[event.task_id]
    state = changed(
        was,
        status="failed",
        failures=was.failures + 1,
        ended=(event.epoch, event.agent_id),
        instead=event.next_agent or was.instead,
        spent=charged(was, event.calls),
    )
    if event.retry_in is None:
        return _end_badly(run, event.task_id, state)
    again = changed(state, status="pending", delay=event.retry_in)
    return enqueued(with_state(run, event.task_id, again), [event.task_id])


def _skip(run: Run, event: TaskSkipped) -> Run:
    was = run.states[event.task_id]
    if not event.is_waived:
        return _end_badly(run, event.task_id, changed(was, status="skipped"))
    done = run.done + 1
    waived = changed(was, status="skipped", is_waived=True, done=done)
    has_ended = was.status in ENDED
    skipped = changed(
        with_state(run, event.task_id, waived),
        open=run.open - (not has_ended),
        unhappy=run.unhappy - has_ended,
        done=done,
    )
    return _free_followers(skipped, event.task_id)


def _end_badly(run: Run, task_id: str, state: TaskState) -> Run:
    return changed(with_state(run, task_id, state), open=run.open - 1, unhappy=run.unhappy + 1)


def _put(run: Run, task_id: str, state: TaskState) -> Run:
    if state is run.states[task_id]:
        return run
    return changed(run, states=run.states.insert(task_id, state))
