"""Why something is not done: two branches, by what the receiver should do.

    TaskloomError
    ├── Refused          what was said is wrong: 4xx, or a dead letter
    │   └── NotFound     it speaks of something that does not exist: 404
    │   └── Conflict     it was true once, or for somebody else: 409
    └── Unavailable      the world is wrong: 503; repeat it later
        └── UnreadableStream   one stream cannot be read by this code; the others are well

``code`` is stable: it is the type of a problem answer and the reason of a dead letter.
"""

from collections.abc import Sequence


class TaskloomError(Exception):
    """Something was not done."""

    code: str = "error"


class Refused(TaskloomError):
    """What was said cannot be accepted, now or later."""

    code = "refused"


class NotFound(Refused):
    """What was said speaks of something that does not exist."""

    code = "not-found"


class Conflict(Refused):
    """What was said contradicts what is recorded."""

    code = "conflict"


class StreamMovedOn(Conflict):
    """What was said relies on a version that is not the latest any more."""

    code = "precondition-failed"

    def __init__(self, stream: str, relied_on: int, version: int) -> None:
        super().__init__(f"{stream} is at version {version}, not at {relied_on}; look again")
        self.version = version


class Unavailable(TaskloomError):
    """Something the system depends on does not answer; the same request may succeed later."""

    code = "unavailable"


class UnreadableStream(Unavailable):
    """One stream holds something that this code cannot read; the others are well."""

    code = "unreadable-stream"

    def __init__(self, message: str, *, stream: str = "", position: int = 0) -> None:
        super().__init__(message)
        self.stream = stream
        self.position = position
        """Where the log holds it, 0 where that is not known."""


class UnknownPlan(NotFound):
    """No plan has this id."""

    code = "unknown-plan"

    def __init__(self, plan_id: str) -> None:
        super().__init__(f"there is no plan {plan_id}")


class UnknownRun(NotFound):
    """No run has this id."""

    code = "unknown-run"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"there is no run {run_id}")


class UnknownTask(NotFound):
    """The run has no task with this id."""

    code = "unknown-task"

    def __init__(self, run_id: str, task_id: str) -> None:
        super().__init__(f"run {run_id} has no task {task_id}")


class UnknownAgent(NotFound):
    """No agent has registered with this id."""

    code = "unknown-agent"

    def __init__(self, agent_id: str) -> None:
        super().__init__(f"no agent {agent_id} has registered; report agent.registered first")


class OtherAgent(Conflict):
    """An agent of another kind has registered with this id."""

    code = "other-agent"

    def __init__(self, agent_id: str, kind: str) -> None:
        super().__init__(
            f"agent {agent_id} is registered as {kind}; deregister it, or choose another id"
        )


class PlanNotReady(Conflict):
    """An execution was asked of a plan that has no task graph, or is over; or another graph."""

    code = "plan-not-ready"

    def __init__(self, plan_id: str, status: str, what: str = "executed") -> None:
        super().__init__(f"plan {plan_id} is {status}; only a ready plan can be {what}")


class UnknownCheckpoint(NotFound):
    """The run has no checkpoint with this id, or has forgotten it."""

    code = "unknown-checkpoint"

    def __init__(self, run_id: str, checkpoint: str, known: Sequence[str]) -> None:
        super().__init__(
            f"run {run_id} has no {checkpoint}; it has {_listed(known) or 'none: pause it first'}"
        )


class CannotSteer(Conflict):
    """What a person asks of a run cannot be done as the run stands."""

    code = "cannot-steer"


class AlreadyExists(Conflict):
    """The id is taken by something else."""

    code = "already-exists"

    def __init__(self, kind: str, ident: str) -> None:
        super().__init__(f"{kind} {ident} exists already with other content; choose another id")


class EpochFromTheFuture(Refused):
    """A report names an attempt that was never dispatched."""

    code = "unknown-epoch"

    def __init__(self, task_id: str, said: int, current: int) -> None:
        super().__init__(f"task {task_id} is at epoch {current}; the report says {said}")


class TooHeavy(Refused):
    """Something has more bytes than a message can carry."""

    code = "too-heavy"

    def __init__(self, what: str, has: int, limit: int) -> None:
        super().__init__(
            f"{what}: {has} bytes of JSON; at most {limit} can be carried: "
            "keep it elsewhere and pass a reference"
        )


class BadGraph(Refused):
    """The tasks do not form a graph that can be run."""

    code = "bad-graph"


class EmptyGraph(BadGraph):
    """There are no tasks."""

    code = "empty-graph"

    def __init__(self) -> None:
        super().__init__("the graph has no tasks; give at least one")


class GraphTooLarge(BadGraph):
    """The graph exceeds a limit."""

    code = "graph-too-large"

    def __init__(self, what: str, has: int, limit: int) -> None:
        super().__init__(f"the graph has {has} {what}; at most {limit} are allowed")


class DuplicateTask(BadGraph):
    """Two tasks have one id."""

    code = "duplicate-task"

    def __init__(self, task_ids: Sequence[str]) -> None:
        super().__init__(f"more than one task is called {_listed(task_ids)}")


class UnknownDependency(BadGraph):
    """A task depends on one that is not in the graph."""

    code = "unknown-dependency"

    def __init__(self, edges: Sequence[tuple[str, str]]) -> None:
        offenders = [f"{task} on {dependency}" for task, dependency in edges]
        super().__init__(f"tasks depend on tasks that do not exist: {_listed(offenders)}")


class CyclicGraph(BadGraph):
    """Tasks wait for each other."""

    code = "cycle"

    def __init__(self, cycle: Sequence[str]) -> None:
        super().__init__(f"these tasks wait for each other: {' → '.join(_shortened(cycle))}")
        self.cycle = tuple(cycle)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:50])
    return shown if len(names) <= 50 else f"{shown} and {len(names) - 50} more"


def _shortened(names: Sequence[str]) -> Sequence[str]:
    return names if len(names) <= 50 else [*names[:25], "…", *names[-24:]]
