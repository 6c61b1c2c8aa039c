"""The lines in which work waits for agents: how long each is, and how fast it has moved lately."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from domain.values import Lane, Role
from projections.table import Connection

Kind = tuple[Role, str]
"""The role and the type of agents."""

LANES: Final[Sequence[Lane]] = ("critical", "high", "normal", "low")
"""The more urgent first."""

RUNS, PER_RUN = 50, 200
"""The latest runs with results, and tasks of each, that are looked at for a line's pace."""

_OPEN: Final = """
    select role, agent_type, lane,
        count(*) filter (where state = 'dispatched' and due),
        count(*) filter (where state = 'dispatched' and not due),
        count(*) filter (where state = 'started')
    from (
        select role, agent_type, lane, state, since + delay * interval '1 second' <= %(now)s as due
        from views.attempts_2 where %(type)s::text is null or agent_type = %(type)s
    ) open group by role, agent_type, lane
"""

_STAFF: Final = """
    select role, agent_type, count(*), sum(max_concurrent_tasks) from views.agents_1
    where is_registered and lifecycle not in ('shutdown', 'recovering')
    and health not in ('unhealthy', 'offline')
    and (%(type)s::text is null or agent_type = %(type)s)
    group by role, agent_type
"""

_PACE: Final = """
    select t.role, coalesce(t.instead, t.agent_type),
        avg(extract(epoch from greatest(t.started_at - t.dispatched_at, interval '0')))::float8,
        avg(extract(epoch from greatest(t.ended_at - t.started_at, interval '0')))::float8
    from (
        select run_id from views.executions_2 where completed > 0
        order by started_at desc, run_id desc limit %(runs)s
    ) r cross join lateral (
        select role, agent_type, instead, status, dispatched_at, started_at, ended_at
        from views.tasks_2 where run_id = r.run_id limit %(per_run)s
    ) t
    where t.status = 'completed'
    and t.dispatched_at is not null and t.started_at is not null and t.ended_at is not null
    and (%(type)s::text is null or coalesce(t.instead, t.agent_type) = %(type)s)
    group by 1, 2
"""

_AHEAD: Final = """
    select count(*) from views.attempts_2
    where state = 'dispatched' and role = %(role)s and agent_type = %(type)s
    and since + delay * interval '1 second' <= %(now)s
    and (lane = any(%(before)s) or (lane = %(lane)s and position < %(position)s))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The work for agents of one role and type that has been dispatched."""

    waiting: Mapping[Lane, int] = field(default_factory=dict[Lane, int])
    """How much nobody has started, by lane."""

    delayed: int = 0
    """How much waits for its next attempt to be due."""

    started: int = 0
    agents: int = 0
    """How many agents are active."""

    places: int = 0
    """How many tasks they take at once, all together."""

    waited: float | None = None
    """Seconds that work has waited of late, on average."""

    worked: float | None = None
    """Seconds that it has taken of late, on average."""

    @property
    def pending(self) -> int:
        """How much waits to be started now."""
        return sum(self.waiting.values())

    def wait_behind(self, ahead: int) -> float | None:
        """Return the seconds until somebody starts what has so much ahead of it; None: unknown."""
        if not self.places:
            return None
        needed = ahead + 1 - (self.places - self.started)
        if needed <= 0:
            return 0.0
        return None if self.worked is None else needed * self.worked / self.places


async def read_lines(
    connection: Connection, *, now: datetime, agent_type: str | None = None
) -> Mapping[Kind, Line]:
    """Return the line of every type of agents that has work or agents, by role and type."""
    given = {"now": now, "type": agent_type, "runs": RUNS, "per_run": PER_RUN}
    waiting: dict[Kind, dict[Lane, int]] = {}
    counts: dict[Kind, tuple[int, int]] = {}
    cursor = await connection.execute(_OPEN, given)
    for role, kind, lane, ready, later, started in await cursor.fetchall():
        waiting.setdefault((role, kind), {})[lane] = ready
        delayed, under_way = counts.get((role, kind), (0, 0))
        counts[role, kind] = delayed + later, under_way + started
    cursor = await connection.execute(_STAFF, given)
    staff = {(role, kind): (n, int(places)) for role, kind, n, places in await cursor.fetchall()}
    cursor = await connection.execute(_PACE, given)
    paces = {
        (role, kind): (waited, worked) for role, kind, waited, worked in await cursor.fetchall()
    }
    lines: dict[Kind, Line] = {}
    for kind in sorted({*waiting, *staff}, key=lambda kind: (kind[1], kind[0])):
        delayed, started = counts.get(kind, (0, 0))
        agents, places = staff.get(kind, (0, 0))
        waited, worked = paces.get(kind, (None, None))
        lines[kind] = Line(
            waiting=waiting.get(kind, {}),
            delayed=delayed,
            started=started,
            agents=agents,
            places=places,
            waited=waited,
            worked=worked,
        )
    return lines


async def count_ahead(
    connection: Connection, kind: Kind, lane: Lane, *, position: int, now: datetime
) -> int:
    """Return how much work goes before what was dispatched at a position, as things stand."""
    role, agent_type = kind
    cursor = await connection.execute(
        _AHEAD,
        {
            "role": role,
            "type": agent_type,
            "lane": lane,
            "before": list(LANES[: LANES.index(lane)]),
            "position": position,
            "now": now,
        },
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
