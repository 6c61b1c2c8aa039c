"""Says which types of agents cannot do all of their work, and the command that would help."""

from collections.abc import Sequence
from importlib.util import find_spec

from domain.values import Role
from infra.cli.health.findings import Finding, ok, warn
from projections.degraded import Degraded


def look_at_types(degraded: Sequence[Degraded]) -> list[Finding]:
    """Return a finding for each type that is degraded."""
    if not degraded:
        return [ok("degraded", "no type of agents")]
    return [
        warn("degraded", f"{one.agent_type} ({one.role}): {one.why}", _advice(one))
        for one in degraded
    ]


def _advice(one: Degraded) -> str:
    if one.cause == "breaker_open":
        return (
            "`taskloom events tail --type 'task.failed'` shows what fails;"
            " once it is corrected the next probe closes the breaker"
        )
    start = f"`taskloom agent {_reference(one.role, one.agent_type)}`"
    if one.cause == "no_agent":
        return f"start one: {start}"
    return f"start another one: {start}"


def _reference(role: Role, agent_type: str) -> str:
    """Return what starts an agent of a type: our own module, or a file of whoever made the type."""
    ours = f"agents.{'planners' if role == 'planning' else 'workers'}.{agent_type.lower()}"
    return ours if find_spec(ours) else f"YOUR_{agent_type}_AGENT.py"
