"""What is in danger when a task fails for good, or nobody is left to carry out a type of work."""

from domain.graph import downstream
from domain.run import Run
from domain.run_events import ReplanRequested


def replan_requested(
    run: Run,
    reason: str,
    *,
    task_id: str | None = None,
    agent_type: str | None = None,
    max_delay: float | None = None,
    request: str = "",
) -> ReplanRequested:
    """Return the request for another graph, with what has to stay and how much is in danger."""
    struck = {
        name
        for name, state in run.states.items()
        if not state.is_met and (name == task_id or run.agent_type_of(name) == agent_type)
    }
    affected = set(struck)
    for name in sorted(struck):
        affected.update(downstream(name, run.after, is_open=lambda behind: behind not in affected))
    return ReplanRequested(
        run_id=run.id,
        plan_id=run.plan_id,
        task_id=task_id,
        agent_type=agent_type,
        reason=reason,
        met=tuple(sorted(name for name, state in run.states.items() if state.is_met)),
        affected=len(affected),
        max_delay=max_delay,
        request=request,
    )
