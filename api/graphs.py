"""Task graphs as the API shows them: as a list to read, and as nodes to draw."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, Field

from api.durations import human
from domain.estimates import Estimate
from domain.scheduling.critical_path import critical_path
from domain.tasks import Effect, RetryPolicy, Task
from domain.values import JsonObject

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


def task_graph_of(kept: Sequence[JsonObject], statuses: Mapping[str, str]) -> JsonObject:
    """Return a graph to read, with where its tasks stand; pending where nobody says it.

    It is a ``TaskGraph``, made of nodes as they are kept: a graph of thousands has no time to be
    checked once more on its way.
    """
    nodes: list[Any] = []
    edges: list[Any] = []
    for task in cast("Sequence[Mapping[str, Any]]", kept):
        name, needs, data = task["id"], task["needs"], task.get("data", ())
        node = {
            "task_id": name,
            "name": task["name"],
            "agent": task["agent"],
            "status": statuses.get(name, "pending"),
            "dependencies": needs,
            "estimated_duration": _told(task["seconds"]),
            "estimated_duration_seconds": task["seconds"],
        }
        nodes.append(node | task["said"] if "said" in task else node)
        for need in needs:
            kind = "data" if need in data else "sequential"
            edges.append({"from": need, "to": name, "type": kind})
    return {"nodes": nodes, "edges": edges}


_told = lru_cache(10_000)(human)
"""The durations of a graph are few, and each is told many times."""


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
