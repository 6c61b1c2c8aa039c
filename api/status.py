"""How the system is: one report for people, two probes for machines."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import psycopg
from fastapi import APIRouter, Response
from psycopg_pool import PoolTimeout
from pydantic import BaseModel

from api.access import may
from api.agents import DegradedType, degraded_type
from api.deps import Condition, Deps, Ports
from api.durations import Moment, human
from api.reading import CONNECT
from domain.errors import TaskloomError, Unavailable
from projections.agents import list_agents
from projections.catalog import PROJECTED, VIEWS
from projections.degraded import Degraded, list_degraded
from projections.executions import count_active
from projections.positions import ViewStatus, statuses

router = APIRouter(tags=["status"])
probes = APIRouter(tags=["probes"])

_IN_TIME = 2.0
"""Seconds that any look at the system may take."""

_SILENT = (psycopg.Error, PoolTimeout, Unavailable, TimeoutError, OSError)


class ViewReport(BaseModel):
    """How far one view is."""

    view: str
    version: int
    position: int
    behind: int
    """How many positions it lags; an event is one position or more."""

    failed_at: int | None
    """The position of the event it could not fold."""

    error: str | None
    since: Moment | None


class StatusReport(BaseModel):
    """How the system is."""

    status: Condition
    version: str
    uptime: str
    uptime_seconds: float
    components: Mapping[str, Condition]
    degraded: Sequence[DegradedType]
    """Types of agents that cannot do all of their work, and why."""

    active_agents: int | None
    active_executions: int | None
    position: int | None
    """The last event of the log."""

    views: Sequence[ViewReport]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """Whether requests should come here."""

    ready: bool
    components: Mapping[str, Condition]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    views: Sequence[ViewStatus]
    head: int
    agents: int
    executions: int
    degraded: Sequence[Degraded]


@router.get("/status", dependencies=[may("status:read")])
async def show_status(ports: Ports) -> StatusReport:
    """Show how the system and its parts are."""
    looked, components = await asyncio.gather(_look(ports), _probe(ports))
    uptime = max((ports.clock.now() - ports.started_at).total_seconds(), 0.0)
    conditions = _components(ports, looked, components)
    return StatusReport(
        status=_worst(conditions, is_degraded=bool(looked and looked.degraded)),
        version=ports.version,
        uptime=human(uptime),
        uptime_seconds=round(uptime, 3),
        components=conditions,
        degraded=[degraded_type(one) for one in looked.degraded] if looked else [],
        active_agents=looked.agents if looked else None,
        active_executions=looked.executions if looked else None,
        position=looked.head if looked else None,
        views=[_report(view, looked.head) for view in looked.views] if looked else [],
    )


@probes.get("/livez")
async def live() -> Alive:
    """Tell that the process answers, whatever it depends on."""
    return Alive()


@probes.get("/readyz", responses={503: {"model": Readiness}})
async def ready(ports: Ports, response: Response) -> Readiness:
    """Tell whether requests can be answered: 503 while they cannot."""
    looked, components = await asyncio.gather(_look(ports), _probe(ports))
    conditions = _components(ports, looked, components)
    # Commands are accepted and views are read without the broker and without the coordinator.
    needed = {name: conditions[name] for name in conditions if name not in _NOT_NEEDED}
    is_ready = all(condition in ("healthy", "unknown") for condition in needed.values())
    if not is_ready:
        response.status_code = 503
        response.headers["Retry-After"] = "1"
    return Readiness(ready=is_ready, components=conditions)


_NOT_NEEDED = frozenset({"message_bus", "agent_coordinator"})


async def _look(ports: Deps) -> _Looked | None:
    """Look at the database; None where it does not answer in time."""
    try:
        async with asyncio.timeout(_IN_TIME), ports.views.connection(timeout=CONNECT) as connection:
            views = await statuses(connection, VIEWS)
            return _Looked(
                views=views,
                head=await ports.head(),
                agents=len(await list_agents(connection, status="active")),
                executions=await count_active(connection),
                degraded=await list_degraded(connection, now=ports.clock.now()),
            )
    except _SILENT:
        return None


async def _probe(ports: Deps) -> Mapping[str, Condition]:
    async def one(name: str) -> Condition:
        try:
            async with asyncio.timeout(_IN_TIME):
                return await ports.probes[name]()
        except (TaskloomError, TimeoutError, OSError):
            return "unhealthy"

    found = await asyncio.gather(*(one(name) for name in ports.probes))
    return dict(zip(ports.probes, found, strict=True))


def _components(
    ports: Deps, looked: _Looked | None, probed: Mapping[str, Condition]
) -> Mapping[str, Condition]:
    mine: dict[str, Condition] = {
        "api": "healthy",
        "database": "healthy" if looked else "unhealthy",
        "message_bus": "unknown",
        "agent_coordinator": "unknown",
        "projections": "unknown",
    }
    if looked:
        names = {view.name for view in PROJECTED}
        projected = [view for view in looked.views if view.view in names]
        followed = [view for view in looked.views if view.view not in names]
        mine["projections"] = _condition_of(ports, projected, looked.head)
        mine["agent_coordinator"] = _condition_of(ports, followed, looked.head)
    return mine | dict(probed)


def _condition_of(ports: Deps, views: Sequence[ViewStatus], head: int) -> Condition:
    if any(view.failure for view in views):
        return "unhealthy"
    behind = max((head - view.position for view in views), default=0)
    return "degraded" if behind > ports.most_behind else "healthy"


def _worst(conditions: Mapping[str, Condition], *, is_degraded: bool) -> Condition:
    if conditions["database"] == "unhealthy":
        return "unhealthy"
    is_degraded = is_degraded or bool({"degraded", "unhealthy"} & set(conditions.values()))
    return "degraded" if is_degraded else "healthy"


def _report(view: ViewStatus, head: int) -> ViewReport:
    failure = view.failure
    return ViewReport(
        view=view.view,
        version=view.version,
        position=view.position,
        behind=max(head - view.position, 0),
        failed_at=failure.position if failure else None,
        error=failure.error if failure else None,
        since=failure.at if failure else None,
    )
