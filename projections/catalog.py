"""All views there are."""

from projections.agents import AGENTS
from projections.attempts import ATTEMPTS
from projections.breakers import BREAKERS
from projections.executions import EXECUTIONS
from projections.findings import FINDINGS
from projections.graphs import GRAPHS
from projections.plans import PLANS
from projections.revisions import REVISIONS
from projections.tasks import TASKS
from projections.timeline import TIMELINE
from projections.usage import USAGE
from projections.view import AnyView

PROJECTED: tuple[AnyView, ...] = (
    PLANS,
    GRAPHS,
    FINDINGS,
    REVISIONS,
    EXECUTIONS,
    TASKS,
    AGENTS,
    BREAKERS,
    TIMELINE,
    USAGE,
)
"""What the projector keeps."""

VIEWS: tuple[AnyView, ...] = (*PROJECTED, ATTEMPTS)
