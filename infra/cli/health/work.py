"""Looks at what the record says is under way: views, runs, agents, dead letters."""

from datetime import UTC, datetime

from infra.cli.health.degraded import look_at_types
from infra.cli.health.findings import Finding, fail, ok, warn
from infra.cli.reading import Record
from infra.store.dead_letters import DeadLetterTable
from infra.store.parked import ParkedEvents
from projections.agents import list_agents
from projections.catalog import VIEWS
from projections.degraded import list_degraded
from projections.executions import count_active
from projections.positions import prepare, statuses

MOST_BEHIND = 1_000
"""Positions that a view may lag without a word about it."""


async def look_at_work(opened: Record) -> list[Finding]:
    """Return what is found."""
    head = await opened.store.head()
    async with opened.pool.connection() as connection:
        await prepare(connection, VIEWS)
        views = await statuses(connection, VIEWS)
        runs = await count_active(connection)
        agents = await list_agents(connection)
        degraded = await list_degraded(connection, now=datetime.now(UTC))
    findings: list[Finding] = [ok("log", f"{head} is its last position")]
    findings += [
        fail(
            f"view {view.view}",
            f"stopped before {view.failure.position}: {view.failure.error}",
            f"repair its fold, then `taskloom projection rebuild {view.view}`",
        )
        for view in views
        if view.failure is not None
    ]
    behind = max((head - view.position for view in views), default=0)
    if behind > MOST_BEHIND:
        findings.append(
            warn("views", f"up to {behind} positions behind", "is the projector running?")
        )
    elif not any(view.failure for view in views):
        findings.append(ok("views", f"{len(views)} follow the log, at most {behind} behind"))
    findings.append(ok("runs", f"{runs} are under way"))
    failed = [agent.row.agent_id for agent in agents if agent.status == "failed"]
    active = sum(agent.status == "active" for agent in agents)
    if failed:
        names = ", ".join(failed[:5])
        findings.append(warn("agents", f"{active} active; lost: {names}", "start them again"))
    else:
        findings.append(ok("agents", f"{active} active"))
    findings += look_at_types(degraded)
    if parked := await ParkedEvents(opened.pool).streams():
        names = ", ".join(parked[:3]) + (" …" if len(parked) > 3 else "")
        advice = "upgrade taskloom: a later version may have written it"
        findings.append(fail("log", f"passed over what cannot be read in {names}", advice))
    letters = await DeadLetterTable(opened.pool).count()
    if letters:
        findings.append(
            warn("dead letters", f"{letters} wait for a decision", "see `taskloom dlq groups`")
        )
    else:
        findings.append(ok("dead letters", "none"))
    return findings
