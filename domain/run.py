"""A run: a task graph that is alive. Its state, and how each event changes it.

The state is persistent: a new one shares all but the changed path with the one before, so that an
event costs the same in a run of ten tasks and of ten thousand.

    pending ──► dispatched ──► started ──► completed
       │            │ ▲           ├──────► failed ──► dispatched (the next epoch)
       ▼            │ └───────────┴──────► lost   ──► dispatched (the next epoch)
    skipped     cancelled
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from domain.graph import successors
from domain.persistent import PersistentMap
from domain.run_events import (
    ReportIgnored,
    RunCancelled,
    RunCompleted,
    RunEvent,
    RunExtended,
    RunFailed,
    RunKind,
    RunStarted,
    TaskCancelled,
    TaskCompleted,
    TaskDispatched,
    TaskFailed,
    TaskLost,
    TaskSkipped,
    TaskStarted,
)
from domain.tasks import Task
from domain.teams import TEAMS
from domain.values import JsonObject, Priority

TaskStatus = Literal[
    "pending", "dispatched", "started", "completed", "failed", "lost", "skipped", "cancelled"
]
RunStatus = Literal["running", "completed", "failed", "cancelled"]

ENDED: frozenset[TaskStatus] = frozenset({"completed", "failed", "skipped", "cancelled"})
"""A failed task has ended, unless the same decision dispatched it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState:
    """Where one task stands."""

    status: TaskStatus = "pending"
    epoch: int = 0
    """The current attempt; 0 before the first."""

    agent_id: str = ""
    """Who holds the attempt, or held it last."""

    waits_for: int = 0
    """How many of its needs have not ended well yet."""

    failures: int = 0
    losses: int = 0
    ended: tuple[int, str] = (0, "")
    """The last attempt that failed or was lost: its epoch, and who held it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is true of one run."""

    id: str
    plan_id: str | None
    kind: RunKind
    revision: int
    priority: Priority
    status: RunStatus
    tasks: PersistentMap[str, Task]
    after: PersistentMap[str, tuple[str, ...]]
    """Which tasks need a task, in order of id."""

    states: PersistentMap[str, TaskState]
    results: PersistentMap[str, JsonObject]
    """The results that somebody may still ask for."""

    open: int
    """How many tasks have not ended."""

    unhappy: int = 0
    """How many tasks have ended otherwise than well."""

    def state(self, task_id: str) -> TaskState | None:
        """Return where a task stands, or None if the run has no such task."""
        return self.states.get(task_id)

    def inputs_of(
        self, task: Task, latest: Mapping[str, JsonObject] | None = None
    ) -> dict[str, JsonObject]:
        """Return the results a task asked for, by its names; ``latest`` are the newest ones."""
        latest = latest or {}
        return {name: self.result_of(source, latest) for name, source in task.inputs.items()}

    def result_of(self, task_id: str, latest: Mapping[str, JsonObject]) -> JsonObject:
        """Return a task's result, empty when it has none; ``latest`` are the newest ones."""
        return latest[task_id] if task_id in latest else self.results.get(task_id, {})


def evolve(run: Run | None, event: RunEvent) -> Run:  # one branch an event
    """Return the run after one more event."""
    if isinstance(event, RunStarted):
        return _begin(event)
    assert run is not None, f"{event.type} before run.started"  # noqa: S101 # the log begins with it
    match event:
        case RunExtended(tasks=tasks):
            return _extend(run, tasks)
        case TaskDispatched():
            return _dispatch(run, event)
        case TaskStarted(task_id=task_id, agent_id=agent_id):
            return _with(run, task_id, status="started", agent_id=agent_id)
        case TaskCompleted():
            return _complete(run, event)
        case TaskFailed(task_id=task_id, epoch=epoch, agent_id=agent_id):
            failures = run.states[task_id].failures + 1
            changed = _with(
                run, task_id, status="failed", failures=failures, ended=(epoch, agent_id)
            )
            return replace(changed, open=run.open - 1, unhappy=run.unhappy + 1)
        case TaskLost(task_id=task_id, epoch=epoch, agent_id=agent_id):
            losses = run.states[task_id].losses + 1
            return _with(run, task_id, status="lost", losses=losses, ended=(epoch, agent_id))
        case TaskSkipped(task_id=task_id):
            changed = _with(run, task_id, status="skipped")
            return replace(changed, open=run.open - 1, unhappy=run.unhappy + 1)
        case TaskCancelled(task_id=task_id):
            changed = _with(run, task_id, status="cancelled")
            return replace(changed, open=run.open - 1, unhappy=run.unhappy + 1)
        case ReportIgnored():
            return run
        case RunCompleted():
            return replace(run, status="completed")
        case RunFailed():
            return replace(run, status="failed")
        case RunCancelled():
            return replace(run, status="cancelled")
        case _:
            assert_never(event)


def _begin(event: RunStarted) -> Run:
    after = successors(event.tasks)
    return Run(
        id=event.run_id,
        plan_id=event.plan_id,
        kind=event.kind,
        revision=event.revision,
        priority=event.priority,
        status="running",
        tasks=PersistentMap({task.id: task for task in event.tasks}),
        after=PersistentMap({name: tuple(followers) for name, followers in after.items()}),
        states=PersistentMap(
            {task.id: TaskState(waits_for=len(task.needs)) for task in event.tasks}
        ),
        results=PersistentMap(),
        open=len(event.tasks),
    )


def _extend(run: Run, tasks: Sequence[Task]) -> Run:
    after = run.after
    for name, followers in successors(tasks).items():
        after = after.insert(name, tuple(sorted({*after.get(name, ()), *followers})))
    states = run.states
    for task in tasks:
        unmet = sum(not _is_done(run, need) for need in task.needs)
        states = states.insert(task.id, TaskState(waits_for=unmet))
    return replace(
        run,
        tasks=_inserted(run.tasks, ((task.id, task) for task in tasks)),
        after=after,
        states=states,
        open=run.open + len(tasks),
    )


def _inserted(
    tasks: PersistentMap[str, Task], new: Iterable[tuple[str, Task]]
) -> PersistentMap[str, Task]:
    for name, task in new:
        tasks = tasks.insert(name, task)
    return tasks


def _is_done(run: Run, task_id: str) -> bool:
    state = run.states.get(task_id)
    return state is not None and state.status == "completed"


def _dispatch(run: Run, event: TaskDispatched) -> Run:
    state = run.states[event.task_id]
    is_again = state.status == "failed"
    states = run.states.insert(
        event.task_id, replace(state, status="dispatched", epoch=event.epoch, agent_id="")
    )
    if not is_again:
        return replace(run, states=states)
    return replace(run, states=states, open=run.open + 1, unhappy=run.unhappy - 1)


def _complete(run: Run, event: TaskCompleted) -> Run:
    task_id = event.task_id
    states = run.states.insert(
        task_id, replace(run.states[task_id], status="completed", agent_id=event.agent_id)
    )
    followers = run.after.get(task_id, ())
    for follower in followers:
        state = states[follower]
        states = states.insert(follower, replace(state, waits_for=state.waits_for - 1))
    results = run.results
    team = TEAMS[run.kind]
    if team.grows or any(task_id in run.tasks[name].inputs.values() for name in followers):
        results = results.insert(task_id, event.result)
    return replace(run, states=states, results=results, open=run.open - 1)


def _with(
    run: Run,
    task_id: str,
    *,
    status: TaskStatus,
    agent_id: str | None = None,
    failures: int | None = None,
    losses: int | None = None,
    ended: tuple[int, str] | None = None,
) -> Run:
    state = run.states[task_id]
    changed = TaskState(
        status=status,
        epoch=state.epoch,
        agent_id=state.agent_id if agent_id is None else agent_id,
        waits_for=state.waits_for,
        failures=state.failures if failures is None else failures,
        losses=state.losses if losses is None else losses,
        ended=state.ended if ended is None else ended,
    )
    return replace(run, states=run.states.insert(task_id, changed))
