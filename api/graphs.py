"""Task graphs as the API shows them: as a list to read, and as nodes to draw."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, cast

from pydantic import BaseModel, Field, TypeAdapter

from api.durations import human
from domain.estimates import Estimate
from domain.scheduling.critical_path import critical_path
from domain.tasks import Effect, RetryPolicy, Task
from domain.values import JsonObject

_RETRY: Final = RetryPolicy().model_dump(mode="json")
_DURATION: Final = TypeAdapter(timedelta)

WIDTH, HEIGHT = 180, 48
"""The size of a node, in pixels: dagre lays out boxes, not points."""


WhereGiven = Field(exclude_if=lambda said: said is None)
"""Most tasks say nothing of these; then a node does not mention them."""


class Node(BaseModel):
    """One task."""

    task_id: str
    name: str
    agent: str
    status: str
    dependencies: Sequence[str]
    estimated_duration: str
    estimated_duration_seconds: float
    estimate: Annotated[Estimate | None, WhereGiven] = None
    """Where the duration comes from: a rule, or what the log has recorded."""

    origin: Annotated[str | None, WhereGiven] = None
    """Which planner proposed it, by which rule."""

    retry: Annotated[RetryPolicy | None, WhereGiven] = None
    timeouts: Annotated[Mapping[str, float] | None, WhereGiven] = None
    """Those it has, in seconds."""

    effect: Annotated[Effect | None, WhereGiven] = None
    fallback: Annotated[str | None, WhereGiven] = None


class Edge(BaseModel):
    """One task before another one."""

    source: str = Field(serialization_alias="from")
    target: str = Field(serialization_alias="to")
    type: Literal["sequential", "data"]
    """``data`` where the second one needs the result of the first."""


class TaskGraph(BaseModel):
    """A graph to read."""

    nodes: Sequence[Node]
    edges: Sequence[Edge]


class DrawnNode(BaseModel):
    """One task, as a box."""

    id: str
    label: str
    width: int = WIDTH
    height: int = HEIGHT
    agent: str
    status: str
    critical: bool
    earliest_start_seconds: float
    latest_start_seconds: float
    slack_seconds: float
    duration_seconds: float


class DrawnEdge(BaseModel):
    """One arrow: ``graph.setEdge(v, w)``."""

    v: str
    w: str
    type: Literal["sequential", "data"]
    critical: bool


class Drawing(BaseModel):
    """A graph to draw."""

    format: Literal["dagre"] = "dagre"
    nodes: Sequence[DrawnNode]
    edges: Sequence[DrawnEdge]
    critical_path: Sequence[str]


def task_graph_of(tasks: Sequence[JsonObject], statuses: Mapping[str, str]) -> JsonObject:
    """Return a graph to read, with where its tasks stand; pending where nobody says it.

    It is a ``TaskGraph``, made of the tasks as they are kept: a graph of thousands has no time to
    be checked once more on its way.
    """
    nodes: list[Any] = []
    edges: list[Any] = []
    for task in cast("Sequence[Mapping[str, Any]]", tasks):
        inputs = task["inputs"].values()
        needs = sorted({*task["depends_on"], *inputs})
        seconds = _seconds(task["duration"])
        node = {
            "task_id": task["id"],
            "name": task["name"],
            "agent": task["agent"],
            "status": statuses.get(task["id"], "pending"),
            "dependencies": needs,
            "estimated_duration": human(seconds),
            "estimated_duration_seconds": seconds,
        }
        nodes.append(node | {name: each for name, each in _said(task) if each is not None})
        edges += (
            {"from": need, "to": task["id"], "type": "data" if need in inputs else "sequential"}
            for need in needs
        )
    return {"nodes": nodes, "edges": edges}


def _said(task: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Return what only some tasks say; what is as usual is None."""
    yield "estimate", task.get("estimate")
    yield "origin", task.get("origin") or None
    retry = task.get("retry", _RETRY)
    yield "retry", None if retry == _RETRY else _RETRY | retry
    timeouts = task.get("timeouts", {})
    yield "timeouts", {name: each for name, each in timeouts.items() if each is not None} or None
    effect = task.get("effect", "none")
    yield "effect", None if effect == "none" else effect
    yield "fallback", task.get("fallback")


@lru_cache(10_000)
def _seconds(duration: str) -> float:
    return _DURATION.validate_python(duration).total_seconds()


def drawing_of(tasks: Sequence[Task], statuses: Mapping[str, str]) -> Drawing:
    """Return a graph to draw."""
    path = critical_path(tasks)
    critical = set(path.path)
    steps = set(pairwise(path.path))
    return Drawing(
        nodes=[
            DrawnNode(
                id=task.id,
                label=task.name,
                agent=task.agent,
                status=statuses.get(task.id, "pending"),
                critical=task.id in critical,
                earliest_start_seconds=path.timings[task.id].earliest_start,
                latest_start_seconds=path.timings[task.id].latest_start,
                slack_seconds=path.timings[task.id].slack,
                duration_seconds=task.duration.total_seconds(),
            )
            for task in tasks
        ],
        edges=[
            DrawnEdge(v=need, w=task.id, type=_type(task, need), critical=(need, task.id) in steps)
            for task in tasks
            for need in task.needs
        ],
        critical_path=path.path,
    )


def _type(task: Task, need: str) -> Literal["sequential", "data"]:
    return "data" if need in task.inputs.values() else "sequential"
