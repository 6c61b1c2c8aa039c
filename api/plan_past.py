"""Plans as they were: what their views showed at a moment."""

from collections.abc import Mapping, Sequence

from api.past import Past
from domain.errors import UnknownPlan
from domain.values import JsonObject
from projections.findings import FINDINGS, told
from projections.graphs import GRAPHS
from projections.plans import PLANS, PlanRow
from projections.tasks import TASKS

Nodes = Sequence[JsonObject]
Then = tuple[PlanRow, Nodes, Sequence[JsonObject], Sequence[str], Mapping[str, str]]


async def plan_then(past: Past, plan_id: str) -> Then:
    """Return a plan, its graph, what was found about it, and where its tasks stood.

    Raises:
        UnknownPlan: There was none yet.
    """
    rows = await past.rows(plan_id)
    row = rows.one(PLANS)
    if row is None:
        raise UnknownPlan(plan_id)
    conflicts, missing = told(rows.of(FINDINGS))
    stands: Mapping[str, str] = {}
    if row.runs:
        run = await past.rows(row.runs[-1])
        stands = {task.task_id: task.status for task in run.of(TASKS)}
    graph = rows.one(GRAPHS)
    return row, graph.nodes if graph else (), conflicts, missing, stands
