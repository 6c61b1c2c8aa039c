"""Judges a run by what the database holds, and by nothing else.

It imports nothing of ours: a mistake in our fold must not be repeated by who looks for it. What the
views should say it works out for itself, from the events alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import class_row

Json = Mapping[str, Any]
TaskKey = tuple[str, str]

RUN_ENDS = {
    "run.completed": "completed",
    "run.failed": "failed",
    "run.cancelled": "cancelled",
}
GOING_ON = ("running", "paused")
STEERING: Mapping[str, str | None] = {
    "run.checkpointed": None,
    "run.paused": "paused",
    "run.resumed": "running",
    "run.rolled_back": "paused",
    "task.reopened": None,
}
"""What a person makes happen, and the status it leads to."""

CHANGE_NOTHING = (
    "report.ignored",
    "replan.requested",
    "replan.refused",
    "gather.closed",
    "task.timed_out",
    "task.stopped",
)
TASK_ENDS = ("completed", "failed", "skipped", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A row of the log."""

    position: int
    stream: str
    version: int
    type: str
    body: Json
    at: str = ""


@dataclass(slots=True)
class Task:
    """What the events say of one task."""

    needs: frozenset[str]
    status: str = "pending"
    epoch: int = 0
    failures: int = 0
    losses: int = 0
    agent_id: str | None = None
    is_waived: bool = False
    """Whether a person said that what needs it may go on without it."""

    @property
    def is_met(self) -> bool:
        """Whether what needs it may start."""
        return self.status == "completed" or self.is_waived

    def row(self) -> tuple[str, int, int, int]:
        """Return what its view should say of it."""
        return self.status, self.epoch, self.failures, self.losses


@dataclass(slots=True)
class Run:
    """What the events say of one run."""

    kind: str
    status: str = "running"
    tasks: dict[str, Task] = field(default_factory=dict[str, Task])
    gone: dict[str, int] = field(default_factory=dict[str, int])
    """Tasks that another graph has removed, and their last epochs."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was read, and what is wrong with it."""

    events: int
    runs: Mapping[str, Run]
    violations: Sequence[str]

    @property
    def losses(self) -> int:
        """How many attempts were lost, all in all."""
        return sum(task.losses for run in self.runs.values() for task in run.tasks.values())


def check(dsn: str) -> Findings:
    """Read the log and the views, and say what breaks the rules."""
    with psycopg.connect(dsn) as connection:
        events = read(connection)
        runs, violations = fold(events)
        violations += endless(runs)
        violations += list(streams(events))
        violations += differing(read_views(connection), runs)
    return Findings(len(events), runs, violations)


def read(connection: psycopg.Connection[Any]) -> Sequence[Event]:
    """Return the log in the order of its positions."""
    with connection.cursor(row_factory=class_row(Event)) as cursor:
        cursor.execute(
            "select position, stream, version, type, event->'event' as body,"
            " coalesce(event->'meta'->>'at', '') as at from event_log order by position"
        )
        return cursor.fetchall()


def streams(events: Sequence[Event]) -> Iterator[str]:
    """Every stream counts 1, 2, 3 …, and in the order of positions, which are unique."""
    reached: dict[str, int] = defaultdict(int)
    last = 0
    for event in events:
        if event.position <= last:
            yield f"position {event.position} is not above {last}"
        last = event.position
        reached[event.stream] += 1
        if event.version != reached[event.stream]:
            yield (
                f"{event.stream} has version {event.version} at position {event.position},"
                f" where {reached[event.stream]} was due"
            )


def fold(events: Sequence[Event]) -> tuple[Mapping[str, Run], list[str]]:
    """Return what the events say of every run, and where they contradict the rules."""
    runs: dict[str, Run] = {}
    violations: list[str] = []
    for event in events:
        if event.stream.startswith("exec_"):
            violations += [
                f"{event.position} {event.type} of {event.stream}: {what}"
                for what in _hear(runs, event)
            ]
    return runs, violations


def _hear(runs: dict[str, Run], event: Event) -> Iterator[str]:
    if event.type == "run.started":
        if event.stream in runs:
            yield "the run has started before"
        runs[event.stream] = Run(kind=event.body["kind"])
        _grow(runs[event.stream], event.body)
        return
    run = runs.get(event.stream)
    if run is None:
        yield "the run has not started"
        return
    if event.type in CHANGE_NOTHING:
        return
    if event.type in STEERING:
        _steer(run, event)
        return
    if event.type == "run.revised":
        yield from _revise(run, event.body)
        return
    if run.status not in GOING_ON:
        yield f"the run is {run.status} already"
    if event.type == "run.extended":
        _grow(run, event.body)
    elif event.type in RUN_ENDS:
        run.status = RUN_ENDS[event.type]
    elif event.body["task_id"] in run.tasks:
        yield from _hear_task(run, run.tasks[event.body["task_id"]], event)
    else:
        yield f"there is no task {event.body['task_id']}"


def _grow(run: Run, body: Json) -> None:
    for task in body["tasks"]:
        run.tasks[task["id"]] = Task(_needs(task))


def _needs(task: Json) -> frozenset[str]:
    return frozenset([*task.get("depends_on", ()), *task.get("inputs", {}).values()])


def _revise(run: Run, body: Json) -> Iterator[str]:
    """Another graph: what was done stays, and what is tried again begins from its next epoch."""
    for name in sorted(body["was"]):
        task = run.tasks[name]
        if task.is_met:
            yield f"task {name} was met, and another graph undoes it"
        if body["was"][name] not in (task.status, "pending"):
            yield f"task {name} is {task.status}, not {body['was'][name]}"
    for name in body["removed"]:
        run.gone[name] = run.tasks.pop(name).epoch
    for task in (*body["modified"], *body["added"]):
        was = run.tasks.get(task["id"])
        epoch = was.epoch if was else run.gone.get(task["id"], 0)
        run.tasks[task["id"]] = Task(_needs(task), epoch=epoch)
    for name in body["reopened"]:
        run.tasks[name] = Task(run.tasks[name].needs, epoch=run.tasks[name].epoch)


def _steer(run: Run, event: Event) -> None:
    """A person may reopen what has ended; whatever is reopened begins from its next epoch."""
    run.status = STEERING[event.type] or run.status
    for task_id in event.body.get("tasks", ()):
        was = run.tasks[task_id]
        run.tasks[task_id] = Task(was.needs, epoch=was.epoch)


def _hear_task(run: Run, task: Task, event: Event) -> Iterator[str]:
    what, body = event.type.removeprefix("task."), event.body
    name = f"task {body['task_id']}"
    is_waived = what == "skipped" and body.get("because") is None
    if task.status in ("completed", "skipped", "cancelled") and not is_waived:
        yield f"{name} has ended: {task.status}"
    if what == "dispatched":
        yield from _dispatch(run, task, body, name)
        return
    if what in ("started", "completed", "failed", "lost") and body["epoch"] != task.epoch:
        yield f"{name} is at epoch {task.epoch}, not {body['epoch']}"
    if what == "started" and task.status != "dispatched":
        yield f"{name} is {task.status}, not dispatched"
    if what in ("completed", "lost") and task.status != "started":
        yield f"{name} is {task.status}, not started"
    if what in ("completed", "lost") and body["agent_id"] != task.agent_id:
        yield f"{name} is held by {task.agent_id}, not {body['agent_id']}"
    if what == "skipped" and task.status != "pending" and not is_waived:
        yield f"{name} is {task.status}, not pending"
    if what == "failed" and task.status not in ("pending", "dispatched", "started", "lost"):
        yield f"{name} is {task.status}: nobody can fail at it"
    task.status = what
    task.is_waived = is_waived
    task.failures += what == "failed"
    task.losses += what == "lost"
    if what in ("started", "completed"):
        task.agent_id = body["agent_id"]


def _dispatch(run: Run, task: Task, body: Json, name: str) -> Iterator[str]:
    if body["epoch"] != task.epoch + 1:
        yield f"{name} goes from epoch {task.epoch} to {body['epoch']}"
    if task.status not in ("pending", "failed", "lost"):
        yield f"{name} is {task.status}: it needs no other attempt"
    if early := sorted(one for one in task.needs if not run.tasks[one].is_met):
        yield f"{name} does not wait for {', '.join(early)}"
    task.status, task.epoch = "dispatched", body["epoch"]
    task.agent_id = None


def endless(runs: Mapping[str, Run]) -> list[str]:
    """Every run has ended, and every task of it."""
    return [
        *(f"run {run_id} has not ended" for run_id, run in runs.items() if run.status in GOING_ON),
        *(
            f"task {task_id} of {run_id} is {task.status} for ever"
            for run_id, run in runs.items()
            for task_id, task in run.tasks.items()
            if task.status not in TASK_ENDS
        ),
        *(
            f"run {run_id} is completed, but its task {task_id} is {task.status}"
            for run_id, run in runs.items()
            for task_id, task in run.tasks.items()
            if run.status == "completed" and not task.is_met
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """What the views show."""

    runs: Mapping[str, str]
    """The status of each run."""

    tasks: Mapping[TaskKey, tuple[Any, ...]]
    """Of each task its status, epoch, failures and losses."""


def read_views(connection: psycopg.Connection[Any]) -> Views:
    """Return what the views show of every run and task."""
    shown = connection.execute("select run_id, status from views.executions_2").fetchall()
    rows = connection.execute(
        "select run_id, task_id, status, epoch, failures, losses from views.tasks_2"
    ).fetchall()
    return Views(runs=dict(shown), tasks={(row[0], row[1]): tuple(row[2:]) for row in rows})


def differing(views: Views, runs: Mapping[str, Run]) -> Iterator[str]:
    """The views say of every run and task what the events say."""
    for run_id in sorted(views.runs.keys() | runs.keys()):
        shown, status = views.runs.get(run_id), runs[run_id].status if run_id in runs else None
        if shown != status:
            yield f"the view shows run {run_id} as {shown}; it is {status}"
    true: dict[TaskKey, tuple[Any, ...]] = {
        (run_id, task_id): task.row()
        for run_id, run in runs.items()
        for task_id, task in run.tasks.items()
    }
    for key in sorted(views.tasks.keys() | true.keys()):
        if views.tasks.get(key) != true.get(key):
            yield f"the view shows task {key} as {views.tasks.get(key)}; it is {true.get(key)}"
