"""The proof that nothing waits for nothing: where every unfinished task stands.

A task that is not done has a lease that is alive, a timer that is due, a place in a queue, a hold,
a need that is not met, or a question to a person. What has none of these is *astray*: the system
owes it something. Nothing here looks at tasks one by one, so that 100,000 of them are proved at
once.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from domain.run_options import MOST_AT_ONCE
from domain.values import Lane, Role
from projections.attempts import ATTEMPTS
from projections.breakers import BREAKERS
from projections.executions import EXECUTIONS
from projections.table import Connection
from projections.tasks import TASKS
from projections.view import AnyView

AUDITED: Final[tuple[AnyView, ...]] = (EXECUTIONS, TASKS, ATTEMPTS, BREAKERS)

Standing = Literal[
    "needs",
    "asks",
    "held",
    "leased",
    "silent",
    "unpublished",
    "delayed",
    "in_hand",
    "detoured",
    "queued",
    "astray",
]
"""Where an unfinished task stands.

``needs``        it needs tasks that are not done either
``asks``         it needs a task that has ended, and not well: a person decides
``held``         its run is paused, at a limit, or does one task after the other
``leased``       an agent works on it and says so
``silent``       its agent has said nothing for several leases, and nobody has moved it
``unpublished``  it is dispatched in the record only
``delayed``      it waits for its next attempt
``in_hand``      an agent names it, and has not begun it
``detoured``     the breaker of its agent type is not closed
``queued``       it is in the queue of its agent type; whether it is there, only the broker knows
``astray``       nothing of all that
"""

SAMPLE: Final = 1_000
"""How many tasks of a standing are named."""

_SILENT_AFTER: Final = 3.0
"""Leases without a word after which somebody should have moved a task."""

_MARGIN: Final = 2.0
"""Seconds that are granted besides."""

# Tables of the moment, not parts of one query: only so does the planner know how large they are,
# and with a wrong guess it would compare every task with every other one.
_GATHER: Final = (
    "set transaction isolation level repeatable read",
    """
    create temporary table unfinished on commit drop as
    select t.run_id, t.task_id, t.status, t.epoch, t.needs,
           coalesce(t.instead, t.agent_type) as agent_type, r.status as run_status, r.options
    from views.executions_2 r join views.tasks_2 t using (run_id)
    where r.status in ('running', 'paused')
    and t.status in ('pending', 'lost', 'dispatched', 'started')
    """,
    "analyze unfinished",
    """
    create temporary table unmet on commit drop as
    select u.run_id, u.task_id, count(n.task_id) as known,
           bool_or(n.status <> 'completed' and not n.is_waived) as has_any,
           bool_or(n.status in ('failed', 'skipped', 'cancelled') and not n.is_waived) as asks
    from unfinished u cross join lateral unnest(u.needs) need
    left join views.tasks_2 n on n.run_id = u.run_id and n.task_id = need
    where u.status in ('pending', 'lost') group by u.run_id, u.task_id
    """,
    """
    create temporary table named on commit drop as
    select h.run_id, h.task_id, h.epoch, p.agent_id, max(p.seen_at) as seen_at
    from presence p cross join lateral jsonb_to_recordset(p.tasks)
         as h(run_id text, task_id text, epoch int)
    where jsonb_typeof(p.tasks) = 'array' group by 1, 2, 3, 4
    """,
    "analyze unmet",
    "analyze named",
)

_STANDINGS: Final = """
    with busy as materialized (
        select run_id, agent_type, count(*) as many from unfinished
        where status in ('dispatched', 'started') group by run_id, agent_type
    ), turns as materialized (
        select run_id, sum(many) as many from busy group by run_id
    ), held as materialized (
        select run_id, task_id, epoch, max(seen_at) as seen_at from named group by 1, 2, 3
    ), judged as (
        select u.run_id, u.task_id, u.epoch, u.status, a.role, a.agent_type, a.lane,
               a.since + a.delay * interval '1 second' as due,
               case
               when u.status in ('dispatched', 'started') then case
                   when a.epoch is distinct from u.epoch then 'astray'
                   when a.state = 'started' then case
                       when greatest(a.since, n.seen_at) > %(now)s - interval '1 second'
                            * (%(margin)s + %(leases)s * coalesce(a.lease_seconds, %(lease)s))
                       then 'leased' else 'silent' end
                   when a.position > %(published)s then 'unpublished'
                   when a.since + a.delay * interval '1 second' > %(now)s then 'delayed'
                   when h.seen_at > %(now)s - interval '1 second' * (%(margin)s + %(lease)s)
                   then 'in_hand'
                   when b.state <> 'closed' then 'detoured'
                   else 'queued' end
               when cardinality(u.needs) > coalesce(m.known, 0) then 'astray'
               when m.asks then 'asks'
               when m.has_any then 'needs'
               when u.run_status = 'paused' then 'held'
               when u.options ->> 'execution_mode' = 'sequential' then
                   case when coalesce(s.many, 0) > 0 then 'held' else 'astray' end
               when coalesce(y.many, 0) >= coalesce(
                   (u.options -> 'limits' ->> u.agent_type)::int,
                   (%(most)s::jsonb ->> (u.options ->> 'parallelization'))::int)
               then 'held'
               else 'astray' end as standing
        from unfinished u
        left join views.attempts_2 a on a.run_id = u.run_id and a.task_id = u.task_id
        left join unmet m on m.run_id = u.run_id and m.task_id = u.task_id
        left join busy y on y.run_id = u.run_id and y.agent_type = u.agent_type
        left join turns s on s.run_id = u.run_id
        left join named n on n.run_id = u.run_id and n.task_id = u.task_id
             and n.epoch = u.epoch and n.agent_id = a.agent_id
        left join held h on h.run_id = u.run_id and h.task_id = u.task_id and h.epoch = u.epoch
        left join views.breakers_1 b on b.role = a.role and b.agent_type = a.agent_type
    ), numbered as (
        select *, row_number() over (partition by standing order by run_id, task_id) as number
        from judged
    )
    select standing, role, agent_type, lane, count(*), min(due),
           count(*) filter (where due < %(late)s),
           coalesce(jsonb_agg(jsonb_build_array(run_id, task_id, epoch, status))
                    filter (where number <= %(sample)s), '[]')
    from numbered group by standing, role, agent_type, lane
    order by standing, role, agent_type, lane
"""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Named:
    """One task, as it stood."""

    run_id: str
    task_id: str
    epoch: int
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Unfinished tasks that stand in the same place."""

    standing: Standing
    role: Role | None
    agent_type: str | None
    lane: Lane | None
    """Which queue they went to; None where they did not."""

    count: int
    oldest: datetime | None
    """Since when the first of them is there for agents to take, or with one."""

    late: int
    """How many have been for long."""

    sample: Sequence[Named]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Where all unfinished tasks stand."""

    groups: Sequence[Group]
    overdue: int
    """How many timeouts have struck that nobody has noticed."""

    left: int
    """How many runs are over, and have tasks that are not."""

    def count(self, *standings: Standing) -> int:
        """Return how many tasks stand in one of these places."""
        return sum(group.count for group in self.groups if group.standing in standings)

    def sample(self, *standings: Standing) -> Sequence[Named]:
        """Return some of them, by their names."""
        return sorted(
            name for group in self.groups if group.standing in standings for name in group.sample
        )


async def audit(
    connection: Connection, *, now: datetime, lease: timedelta, late: timedelta
) -> Audit:
    """Say where every unfinished task stands; a task is late after so long in a queue."""
    async with connection.transaction():
        for statement in _GATHER:
            await connection.execute(statement)
        return await _judge(connection, now=now, lease=lease, late=late)


async def _judge(
    connection: Connection, *, now: datetime, lease: timedelta, late: timedelta
) -> Audit:
    published = await _first(
        connection, "select position from positions where follower = 'relay'", {}
    )
    asked: dict[str, Any] = {
        "now": now,
        "late": now - late,
        "lease": lease.total_seconds(),
        "leases": _SILENT_AFTER,
        "margin": _MARGIN,
        "published": published,
        "most": json.dumps(MOST_AT_ONCE),
        "sample": SAMPLE,
    }
    cursor = await connection.execute(_STANDINGS, asked)
    groups = [
        Group(
            standing=standing,
            role=role,
            agent_type=agent_type,
            lane=lane,
            count=count,
            oldest=oldest,
            late=many,
            sample=[
                Named(run_id=run_id, task_id=task_id, epoch=epoch, status=status)
                for run_id, task_id, epoch, status in sample
            ],
        )
        for standing, role, agent_type, lane, count, oldest, many, sample in await cursor.fetchall()
    ]
    return Audit(
        groups=groups,
        overdue=await _first(
            connection, "select count(*) from views.attempts_2 where due < %(late)s", asked
        ),
        left=await _first(
            connection,
            "select count(*) from views.executions_2 where status not in ('running', 'paused')"
            " and pending + dispatched + started > 0",
            {},
        ),
    )


async def _first(connection: Connection, query: str, parameters: dict[str, Any]) -> int:
    cursor = await connection.execute(query.encode(), parameters)
    (number,) = await cursor.fetchone() or (0,)
    return int(number)
