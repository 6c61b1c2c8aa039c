"""A run: a task graph that is alive, and where each of its tasks stands.

The state is persistent: a new one shares all but the changed path with the one before, so that an
event costs the same in a run of ten tasks and of ten thousand.

    pending ──► dispatched ──► started ──► completed
       │ ▲          │ ▲           ├──────► failed, or pending again for the next epoch
       │ └──────────┼─┼───────────┘
       ▼            │ └─────────── lost ◄─ started
    skipped     cancelled
"""

from dataclasses import dataclass, field
from datetime import datetime

from domain.persistent import PersistentMap, PersistentQueue
from domain.run_options import RunOptions
from domain.scheduling.urgency import CLASSES, SETBACK
from domain.tasks import Task
from domain.usage import NOTHING, Spending
from domain.values import JsonObject, Priority, RunKind, RunStatus, TaskStatus

ENDED: frozenset[TaskStatus] = frozenset({"completed", "failed", "skipped", "cancelled"})
IN_FLIGHT: frozenset[TaskStatus] = frozenset({"dispatched", "started"})
OVER: frozenset[RunStatus] = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, kw_only=True)
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

    delay: int = 0
    """Seconds that its next attempt has to wait."""

    instead: str = ""
    """The agent type that carries it out, where it is not the task's own."""

    end_by: datetime | None = None
    """When it has to have ended."""

    done: int = 0
    """How many tasks of the run were met when it was, itself included; 0 before."""

    spent: Spending = NOTHING
    """What language models have cost it, all its attempts together."""

    untold: tuple[int, str] = (0, "")
    """The last attempt that was ended without a word from its agent: its epoch, and who held it."""

    is_waived: bool = False
    """Whether a person said that it need not be done."""

    @property
    def is_met(self) -> bool:
        """Whether what needs it can go on."""
        return self.status == "completed" or self.is_waived

    @property
    def is_ready(self) -> bool:
        """Whether it could be dispatched now."""
        return self.waits_for == 0 and self.status in ("pending", "lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A moment that the run can be rolled back to."""

    id: str
    at: datetime
    completed: int
    """How many tasks had been completed by then, or skipped by a person."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is true of one run."""

    id: str
    plan_id: str | None
    kind: RunKind
    revision: int
    priority: Priority
    options: RunOptions
    status: RunStatus
    tasks: PersistentMap[str, Task]
    after: PersistentMap[str, tuple[str, ...]]
    """Which tasks need a task, in order of id."""

    states: PersistentMap[str, TaskState]
    results: PersistentMap[str, JsonObject]
    """The results that somebody may still ask for: all, where another graph may be asked for."""

    ready: PersistentMap[str, PersistentQueue[str]]
    """By place: the tasks that could be dispatched, and some that could be once.

    A place is a part of a line, for tasks of one urgency; the most urgent sort first."""

    in_flight: PersistentMap[str, int]
    """By agent type: how many tasks are dispatched or started."""

    open: int
    """How many tasks have not ended."""

    unhappy: int = 0
    """How many tasks have ended otherwise than well, those apart that a person skipped."""

    done: int = 0
    """How many tasks are met."""

    marked: int = 0
    """How many checkpoints there have been; a number is given once."""

    checkpoints: tuple[Checkpoint, ...] = ()
    """The latest ones, the last at the end."""

    span: float = 0.0
    """Seconds that its first graph takes if agents never lack."""

    urgency: PersistentMap[str, int] = field(default_factory=PersistentMap[str, int])
    """How urgent tasks are: 0, and not told, is on the critical path."""

    gone: PersistentMap[str, int] = field(default_factory=PersistentMap[str, int])
    """Tasks that a revision has removed → their last attempts, of which there may be word yet."""

    is_replanning: bool = False
    """Whether another graph was asked for: until there is an answer, it does not end."""

    replans: int = 0
    """How often another graph was asked for."""

    granted: tuple[str, ...] = ()
    """What named the latest wishes of people that were granted, the last at the end."""

    @property
    def is_over(self) -> bool:
        """Whether nothing can happen to it any more, unless a person reopens it."""
        return self.status in OVER

    @property
    def can_ask_for_a_plan(self) -> bool:
        """Whether its strategy is to ask for another graph, and it has not done so too often."""
        return (
            self.options.failure_strategy == "replan"
            and self.kind == "execution"
            and self.plan_id is not None
            and self.replans < MOST_REPLANS
        )

    def state(self, task_id: str) -> TaskState | None:
        """Return where a task stands, or None if the run has no such task."""
        return self.states.get(task_id)

    def agent_type_of(self, task_id: str) -> str:
        """Return the type of agents that carries a task out, as things stand."""
        return self.states[task_id].instead or self.tasks[task_id].agent

    def line_of(self, task_id: str) -> str:
        """Return the line a task waits in: its agent type's, or the only one of its run."""
        is_sequential = self.options.execution_mode == "sequential"
        return ONLY_LINE if is_sequential else self.agent_type_of(task_id)

    def place_of(self, task_id: str) -> str:
        """Return the place in its line where a task waits, by how urgent it is.

        Each attempt that has failed or was lost makes it less so: it starves nobody.
        """
        return self._place(task_id, self.states[task_id])

    def is_next_in(self, place: str, task_id: str) -> bool:
        """Whether a task that is found in a place still waits there."""
        state = self.states[task_id]
        return state.is_ready and self._place(task_id, state) == place

    def _place(self, task_id: str, state: TaskState) -> str:
        is_sequential = self.options.execution_mode == "sequential"
        line = ONLY_LINE if is_sequential else state.instead or self.tasks[task_id].agent
        degree = self.urgency.get(task_id, 0) + SETBACK * (state.failures + state.losses)
        return f"{min(degree, CLASSES - 1):02}{line}"

    def has_room(self, line: str) -> bool:
        """Whether one more task of a line may be dispatched."""
        if line == ONLY_LINE:
            return not any(self.in_flight.values())
        most = self.options.most_at_once(line)
        return most is None or self.in_flight.get(line, 0) < most

    def inputs_of(self, task: Task) -> dict[str, JsonObject]:
        """Return the results a task asked for, by its names; empty where there is none."""
        return {name: self.results.get(source, {}) for name, source in task.inputs.items()}

    def checkpoint(self, checkpoint_id: str) -> Checkpoint | None:
        """Return a checkpoint, or None where there is no such one any more."""
        return next((each for each in self.checkpoints if each.id == checkpoint_id), None)


def line_at(place: str) -> str:
    """Return the line that a place is part of."""
    return place[2:]


MOST_REPLANS = 5
"""How often a run asks for another graph by itself: one that keeps failing has to end."""

ONLY_LINE = ""
"""The line of a run that does one task after the other."""

NOBODY = "nobody"
"""Stands for the agent where an attempt ended that no agent had started."""


def attempt_name(run_id: str, task_id: str, epoch: int) -> str:
    """Return what names an attempt among all there are."""
    return f"{run_id}/{task_id}/{epoch}"
