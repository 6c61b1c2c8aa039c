"""How tasks become pending again: reopened, rolled back, or because the graph is another one."""

from collections.abc import Iterable, Mapping

from domain.changed import changed
from domain.graph import successors
from domain.persistent import PersistentMap
from domain.run import ENDED, IN_FLIGHT, Checkpoint, Run, TaskState
from domain.run_events import RunRevised
from domain.run_lines import enqueued
from domain.scheduling.urgency import tails_of, urgencies
from domain.steering import RunRolledBack
from domain.tasks import Task


def reopened(run: Run, names: Iterable[str]) -> Run:
    """Return the run in which tasks that had not ended well are pending again."""
    count = 0
    states = run.states
    for name in names:
        count += 1
        was = states[name]
        states = states.insert(name, fresh(was))
    open_again = changed(run, states=states, open=run.open + count, unhappy=run.unhappy - count)
    return enqueued(open_again, names)


def fresh(was: TaskState) -> TaskState:
    """Return a task as before its first attempt, but that what is spent is spent."""
    return TaskState(epoch=was.epoch, waits_for=was.waits_for, ended=was.ended, spent=was.spent)


def rolled_back(run: Run, event: RunRolledBack) -> Run:
    """Return the run as it was at a checkpoint, but for the numbers of attempts."""
    states, in_flight = run.states, run.in_flight
    for name in event.tasks:
        was = states[name]
        if was.status in IN_FLIGHT:
            agent_type = run.agent_type_of(name)
            in_flight = in_flight.insert(agent_type, in_flight[agent_type] - 1)
        states = states.insert(name, fresh(was))
        if was.is_met:
            for follower in run.after.get(name, ()):
                waits_for = states[follower].waits_for + 1
                states = states.insert(follower, changed(states[follower], waits_for=waits_for))
    statuses = [state for _, state in states.items()]
    checkpoints = _until(run, event.checkpoint)
    back = changed(
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
    return enqueued(back, sorted(states))


def _until(run: Run, checkpoint_id: str) -> tuple[Checkpoint, ...]:
    """Return the checkpoints up to one: what was marked later did not happen."""
    names = [each.id for each in run.checkpoints]
    return run.checkpoints[: names.index(checkpoint_id) + 1]


def revised(run: Run, event: RunRevised) -> Run:
    """Return the run with another graph; what is met stays, whatever the graph says of it."""
    tasks = _graph(run, event)
    after = successors(list(tasks.values()))
    again = {task.id for task in (*event.added, *event.modified)} | {*event.reopened}
    states: dict[str, TaskState] = {}
    for name, task in tasks.items():
        was = run.states.get(name) or TaskState(epoch=run.gone.get(name, 0))
        unmet = sum(not _is_met(run, need) for need in task.needs)
        states[name] = changed(fresh(was) if name in again else was, waits_for=unmet)
    in_flight: dict[str, int] = {}
    for name, state in states.items():
        if state.status in IN_FLIGHT:
            agent_type = state.instead or tasks[name].agent
            in_flight[agent_type] = in_flight.get(agent_type, 0) + 1
    tails = tails_of([task for name, task in tasks.items() if not states[name].is_met])
    span = max(tails.values(), default=0.0)
    degrees = urgencies(tails, span)
    gone = run.gone
    for name in event.removed:
        gone = gone.insert(name, run.states[name].epoch)
    new = changed(
        run,
        gone=gone,
        revision=event.revision,
        tasks=PersistentMap(tasks),
        after=PersistentMap({name: tuple(behind) for name, behind in after.items()}),
        states=PersistentMap(states),
        ready=PersistentMap(),
        in_flight=PersistentMap(in_flight),
        open=sum(state.status not in ENDED for state in states.values()),
        unhappy=sum(state.status in ENDED and not state.is_met for state in states.values()),
        is_replanning=False,
        span=span,
        urgency=PersistentMap({name: degree for name, degree in degrees.items() if degree}),
    )
    return enqueued(new, sorted(states))


def _graph(run: Run, event: RunRevised) -> Mapping[str, Task]:
    gone = set(event.removed)
    tasks = {name: task for name, task in run.tasks.items() if name not in gone}
    return tasks | {task.id: task for task in (*event.modified, *event.added)}


def _is_met(run: Run, task_id: str) -> bool:
    state = run.states.get(task_id)
    return state is not None and state.is_met
