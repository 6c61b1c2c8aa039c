"""Where a run's tasks wait for their agents, and how a task enters a line and leaves it."""

from collections.abc import Iterable

from domain.changed import changed
from domain.persistent import PersistentMap, PersistentQueue, first_of, rest_of
from domain.run import IN_FLIGHT, Run, TaskState


def with_state(run: Run, task_id: str, state: TaskState) -> Run:
    """Return the run with another state of a task, which leaves its place if it was in flight."""
    states = run.states.insert(task_id, state)
    if run.states[task_id].status not in IN_FLIGHT:
        return changed(run, states=states)
    agent_type = run.agent_type_of(task_id)
    left = run.in_flight[agent_type] - 1
    return changed(run, states=states, in_flight=run.in_flight.insert(agent_type, left))


def enqueued(run: Run, names: Iterable[str]) -> Run:
    """Return the run with those of some tasks in line that are ready."""
    ready = run.ready
    for name in names:
        if run.states[name].is_ready:
            place = run.place_of(name)
            line = ready.get(place)
            ready = ready.insert(place, (line or PersistentQueue()).enqueue(name))
    return run if ready is run.ready else changed(run, ready=ready)


def without(run: Run, place: str, task_id: str) -> PersistentMap[str, PersistentQueue[str]]:
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
