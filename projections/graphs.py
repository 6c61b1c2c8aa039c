"""The task graphs of plans and their schedules, as they were planned: written once a revision."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue, TypeAdapter

from domain.plan import PlanReady
from domain.policies import Event
from domain.recorded import Recorded
from domain.revisions import PlanUpdated
from domain.scheduling.schedules import Schedule
from domain.tasks import RetryPolicy, Task
from domain.values import JsonObject
from projections.table import Connection
from projections.view import Key, View

_TASKS = TypeAdapter(tuple[Task, ...])


@dataclass(frozen=True, kw_only=True)
class GraphRow:
    """The latest graph of one plan."""

    plan_id: str
    revision: int
    tasks: Sequence[JsonObject]
    nodes: Sequence[JsonObject]
    """Of each task what is shown of it, so that thousands are read and told at once."""

    schedule: JsonObject | None = None
    """When they run; plans of before version 0.2 do not say it."""

    position: int


def keys(recorded: Recorded[Event]) -> Sequence[Key]:
    """Return nothing: a graph is written whole, whatever was there before."""
    del recorded
    return ()


def fold(
    rows: Mapping[Key, GraphRow], recorded: Recorded[Event]
) -> Iterable[tuple[Key, GraphRow | None]]:
    """Return the plan's graph after one more event."""
    del rows
    event = recorded.event
    if isinstance(event, PlanReady | PlanUpdated):
        yield (
            (event.plan_id,),
            GraphRow(
                plan_id=event.plan_id,
                revision=event.revision,
                tasks=_TASKS.dump_python(event.tasks, mode="json"),
                nodes=[node_of(task) for task in event.tasks],
                schedule=event.schedule.model_dump(mode="json") if event.schedule else None,
                position=recorded.position,
            ),
        )


def node_of(task: Task) -> JsonObject:
    """Return what is shown of a task; ``said`` is what most tasks say nothing of."""
    retry = None if task.retry == RetryPolicy() else task.retry
    said: dict[str, JsonValue] = {
        "estimate": task.estimate.model_dump(mode="json") if task.estimate else None,
        "origin": task.origin or None,
        "retry": retry.model_dump(mode="json") if retry else None,
        "timeouts": task.timeouts.model_dump(exclude_none=True) or None,
        "effect": None if task.effect == "none" else task.effect,
        "fallback": task.fallback,
    }
    node: dict[str, JsonValue] = {
        "id": task.id,
        "name": task.name,
        "agent": task.agent,
        "role": task.role,
        "action": task.action,
        "needs": [*task.needs],
        "seconds": task.duration.total_seconds(),
    }
    if task.inputs:
        node["data"] = [*sorted(set(task.inputs.values()))]
    if any(each is not None for each in said.values()):
        node["said"] = {name: each for name, each in said.items() if each is not None}
    return node


GRAPHS = View(
    name="graphs",
    version=3,
    row=GraphRow,
    key=("plan_id",),
    columns="""
        plan_id text collate "C", revision int not null, tasks jsonb not null,
        nodes jsonb not null,
        schedule jsonb, position bigint not null
    """,
    hears=frozenset({PlanReady, PlanUpdated}),
    keys=keys,
    fold=fold,
    is_a_log=True,
)


async def read_nodes(connection: Connection, plan_id: str) -> Sequence[JsonObject]:
    """Return what is shown of the tasks of a plan's latest graph."""
    cursor = await connection.execute(
        "select nodes from views.graphs_3 where plan_id = %s", [plan_id]
    )
    row = await cursor.fetchone()
    return () if row is None else row[0]


async def read_graph(connection: Connection, plan_id: str) -> Sequence[Task]:
    """Return the tasks of a plan's latest graph; none, where it is not planned yet."""
    cursor = await connection.execute(
        "select tasks from views.graphs_3 where plan_id = %s", [plan_id]
    )
    row = await cursor.fetchone()
    return () if row is None else _TASKS.validate_python(row[0])


def tasks_of(row: GraphRow | None) -> Sequence[Task]:
    """Return the tasks of a graph; none, where there is none yet."""
    return () if row is None else _TASKS.validate_python(row.tasks)


async def read_schedule(connection: Connection, plan_id: str) -> Schedule | None:
    """Return the schedule of a plan's latest graph, where it was planned with one."""
    cursor = await connection.execute(
        "select schedule from views.graphs_3 where plan_id = %s", [plan_id]
    )
    row = await cursor.fetchone()
    return None if row is None or row[0] is None else Schedule.model_validate(row[0])
