"""How each event changes a run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import assert_never

from domain.changed import changed
from domain.graph import successors
from domain.persistent import PersistentMap, PersistentQueue, first_of, rest_of
from domain.run import ENDED, IN_FLIGHT, Checkpoint, Run, TaskState
from domain.run_costs import charged, ended_untold, heard_late
from domain.run_events import (
    GatherClosed,
    ReplanRequested,
    ReportIgnored,
    RunCancelled,
    RunCompleted,
    RunEvent,
    RunExtended,
    RunFailed,
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

_Granted = RunPaused | RunResumed | RunRolledBack | TaskReopened | TaskSkipped | RunCancelled
_WholeRunEvent = RunExtended | RunCompleted | RunFailed | RunCancelled | SteeringEvent

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
            return _enqueue(_with(run, task_id, lost), [task_id])
        case TaskSkipped():
            return _skip(_remember(run, event), event)
        case TaskCancelled(task_id=task_id):
            cancelled = changed(run.states[task_id], status="cancelled")
            return _end_badly(run, task_id, cancelled)
        case TaskStopped(task_id=task_id, calls=calls):
            was = run.states[task_id]
            return _with(run, task_id, changed(was, agent_id="", spent=charged(was, calls)))
        case TaskTimedOut(task_id=task_id):
            return _put(run, task_id, ended_untold(run.tasks[task_id], run.states[task_id], event))
        case ReportIgnored(task_id=task_id):
            return _put(run, task_id, heard_late(run.tasks[task_id], run.states[task_id], event))
        case GatherClosed() | ReplanRequested():
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
            return _reopen(run, names)
        case RunCheckpointed(checkpoint=checkpoint, at=at, completed=completed):
            new = Checkpoint(id=checkpoint, at=at, completed=completed)
            kept = (*run.checkpoints, new)[-MOST_CHECKPOINTS:]
            return changed(run, checkpoints=kept, marked=run.marked + 1)
        case RunRolledBack():
            return _roll_back(run, event)
        case RunPaused():
            return changed(run, status="paused")
        case RunResumed():
            return changed(run, status="running")
        case RunCompleted():
            return changed(run, status="completed")
        case RunFailed():
            return changed(run, status="failed")
        case RunCancelled():
            return changed(run, status="cancelled")
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
    return _enqueue(run, sorted(task.id for task in event.tasks))


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
    return _enqueue(extended, sorted(task.id for task in new))


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
        ready=_without(run, run.place_of(task_id), task_id),
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
    if TEAMS[run.kind].grows or _is_asked_for(run, task_id):
        results = results.insert(task_id, event.result)
    completed = changed(_with(run, task_id, state), results=results, open=run.open - 1, done=done)
    return _free_followers(completed, task_id)


def _is_asked_for(run: Run, task_id: str) -> bool:
    return any(task_id in run.tasks[name].inputs.values() for name in run.after.get(task_id, ()))


def _free_followers(run: Run, task_id: str) -> Run:
    followers = run.after.get(task_id, ())
    states = run.states
    for name in followers:
        states = states.insert(name, changed(states[name], waits_for=states[name].waits_for - 1))
    return _enqueue(changed(run, states=states), followers)


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
    return _enqueue(_with(run, event.task_id, again), [event.task_id])


def _skip(run: Run, event: TaskSkipped) -> Run:
    was = run.states[event.task_id]
    if not event.is_waived:
        return _end_badly(run, event.task_id, changed(was, status="skipped"))
    done = run.done + 1
    waived = changed(was, status="skipped", is_waived=True, done=done)
    has_ended = was.status in ENDED
    skipped = changed(
        _with(run, event.task_id, waived),
        open=run.open - (not has_ended),
        unhappy=run.unhappy - has_ended,
        done=done,
    )
    return _free_followers(skipped, event.task_id)


def _end_badly(run: Run, task_id: str, state: TaskState) -> Run:
    return changed(_with(run, task_id, state), open=run.open - 1, unhappy=run.unhappy + 1)


def _reopen(run: Run, names: Iterable[str]) -> Run:
    count = 0
    states = run.states
    for name in names:
        count += 1
        was = states[name]
        fresh = _fresh(was)
        states = states.insert(name, fresh)
    reopened = changed(run, states=states, open=run.open + count, unhappy=run.unhappy - count)
    return _enqueue(reopened, names)


def _fresh(was: TaskState) -> TaskState:
    """Return a task as before its first attempt, but that what is spent is spent."""
    return TaskState(epoch=was.epoch, waits_for=was.waits_for, ended=was.ended, spent=was.spent)


def _roll_back(run: Run, event: RunRolledBack) -> Run:
    states, in_flight = run.states, run.in_flight
    for name in event.tasks:
        was = states[name]
        if was.status in IN_FLIGHT:
            agent_type = run.agent_type_of(name)
            in_flight = in_flight.insert(agent_type, in_flight[agent_type] - 1)
        fresh = _fresh(was)
        states = states.insert(name, fresh)
        if was.is_met:
            for follower in run.after.get(name, ()):
                waits_for = states[follower].waits_for + 1
                states = states.insert(follower, changed(states[follower], waits_for=waits_for))
    statuses = [state for _, state in states.items()]
    checkpoints = _until(run, event.checkpoint)
    rolled_back = changed(
        run,
        status="paused",
        states=states,
        in_flight=in_flight,
        ready=PersistentMap(),
        open=sum(state.status not in ENDED for state in statuses),
        unhappy=sum(state.status in ENDED and not state.is_met for state in statuses),
        done=checkpoints[-1].completed,
        checkpoints=checkpoints,
    )
    return _enqueue(rolled_back, sorted(states))


def _until(run: Run, checkpoint_id: str) -> tuple[Checkpoint, ...]:
    """Return the checkpoints up to one: what was marked later did not happen."""
    names = [each.id for each in run.checkpoints]
    return run.checkpoints[: names.index(checkpoint_id) + 1]


def _put(run: Run, task_id: str, state: TaskState) -> Run:
    if state is run.states[task_id]:
        return run
    return changed(run, states=run.states.insert(task_id, state))


def _with(run: Run, task_id: str, state: TaskState) -> Run:
    """Return the run with another state of a task, which leaves its place if it was in flight."""
    states = run.states.insert(task_id, state)
    if run.states[task_id].status not in IN_FLIGHT:
        return changed(run, states=states)
    agent_type = run.agent_type_of(task_id)
    left = run.in_flight[agent_type] - 1
    return changed(run, states=states, in_flight=run.in_flight.insert(agent_type, left))


def _enqueue(run: Run, names: Iterable[str]) -> Run:
    """Return the run with those of some tasks in line that are ready."""
    ready = run.ready
    for name in names:
        if run.states[name].is_ready:
            place = run.place_of(name)
            line = ready.get(place)
            ready = ready.insert(place, (line or PersistentQueue()).enqueue(name))
    return run if ready is run.ready else changed(run, ready=ready)


def _without(run: Run, place: str, task_id: str) -> PersistentMap[str, PersistentQueue[str]]:
    """Return the places without a task at the head of its own, and what is stale before it."""
    line: PersistentQueue[str] | None = run.ready.get(place)
    if line is None:
        return run.ready
    while line:
        head = first_of(line)
        if head != task_id and run.is_next_in(place, head):
            break
        line = rest_of(line)
        if head == task_id:
            break
    return run.ready.insert(place, line) if line else run.ready.remove(place)
