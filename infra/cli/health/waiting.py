"""Looks whether anything waits for nothing: where every unfinished task stands, and what is astray.

Two processes keep the views that are compared, and work is always on its way: what looks astray is
looked at once more, when the views show all that was recorded by then.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import aio_pika
from aiormq.exceptions import AMQPError

from bus.connect import with_heartbeat
from bus.depths import BrokerDepths, work_depths
from bus.owed import Depth
from domain.leases import WorkKind
from infra.cli.health.findings import Finding, fail, ok, warn
from infra.cli.output import seconds
from infra.cli.reading import Record
from projections.audit import AUDITED, Audit, Group, Named, Standing, audit
from projections.positions import read_positions
from projections.unblock import start_of

LATE: Final = timedelta(seconds=10)
"""How long work may wait in a queue without a look at whether it is there."""

PATIENCE: Final = 5.0
"""Seconds that the views have to come to where the log is."""

_PAUSE: Final = 1.5
"""Seconds between the two looks, at least: by then an agent has named what it has taken."""

_SHOWN: Final = 3
_WORDS: Final[Mapping[Standing, str]] = {
    "leased": "with agents",
    "in_hand": "about to begin",
    "queued": "in queues",
    "delayed": "between two attempts",
    "detoured": "held by a breaker",
    "unpublished": "on their way to the broker",
    "held": "held by their runs",
    "needs": "behind others",
    "asks": "behind a failure",
}


async def look_at_waiting(opened: Record, *, lease: timedelta, url: str | None) -> list[Finding]:
    """Return what is found."""
    first = await _audit(opened, lease)
    depths = await _depths(url, first)
    doubtful = _doubtful(first, depths)
    second = first
    if doubtful:
        await _settle(opened)
        second = await _audit(opened, lease)
        depths = await _depths(url, second)
        doubtful &= _doubtful(second, depths)
    return [
        _proof(second, doubtful),
        *_violations(second, doubtful),
        *_queues(second, depths, doubtful),
        *_questions(second),
    ]


async def _audit(opened: Record, lease: timedelta) -> Audit:
    async with opened.pool.connection() as connection:
        return await audit(connection, now=datetime.now(UTC), lease=lease, late=LATE)


async def _depths(url: str | None, found: Audit) -> Mapping[WorkKind, Depth]:
    kinds = [kind for group in found.groups if group.late and (kind := _kind(group)) is not None]
    if url is None or not kinds:
        return {}
    try:
        connection = await aio_pika.connect(with_heartbeat(url, name="doctor"), timeout=5)
    except (AMQPError, OSError, TimeoutError):
        return {}  # the look at the broker says why
    async with connection:
        return await work_depths(BrokerDepths(connection), kinds)


def _kind(group: Group) -> WorkKind | None:
    """Return the queue that a group waits in, if it does."""
    if group.standing != "queued" or not (group.role and group.agent_type and group.lane):
        return None
    return (group.role, group.agent_type, group.lane)


def _is_empty(depths: Mapping[WorkKind, Depth], group: Group) -> bool:
    kind = _kind(group)
    depth = depths.get(kind) if kind else None
    return depth is not None and depth.is_there and not depth.ready


def _doubtful(found: Audit, depths: Mapping[WorkKind, Depth]) -> set[Named]:
    """Return what stands nowhere, or in a queue that is empty."""
    owed = [group for group in found.groups if group.late and _is_empty(depths, group)]
    return {
        *found.sample("astray", "silent"),
        *(name for group in owed for name in group.sample),
    }


async def _settle(opened: Record) -> None:
    """Wait until the views show what is recorded by now, if they come so far."""
    head = await opened.store.head()
    deadline = asyncio.get_running_loop().time() + PATIENCE
    await asyncio.sleep(_PAUSE)
    while asyncio.get_running_loop().time() < deadline:
        async with opened.pool.connection() as connection:
            positions = await read_positions(connection, AUDITED)
        if min(positions.values(), default=0) >= head:
            return
        await asyncio.sleep(0.1)


def _proof(found: Audit, doubtful: Collection[Named]) -> Finding:
    counts = {words: found.count(standing) for standing, words in _WORDS.items()}
    shown = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
    total = sum(group.count for group in found.groups)
    if not total:
        return ok("unfinished tasks", "none")
    proved = "each stands somewhere" if not doubtful else "not all of them stand somewhere"
    return ok("unfinished tasks", f"{total}, {proved}: {shown}")


def _violations(found: Audit, doubtful: Collection[Named]) -> list[Finding]:
    findings: list[Finding] = []
    if astray := [name for name in found.sample("astray") if name in doubtful]:
        findings.append(
            fail(
                "orphans",
                f"{len(astray)} tasks wait for nothing: {_some(astray)}",
                "`taskloom projection verify` says whether the views are right; if they are,"
                f" `taskloom execution pause {astray[0].run_id}` and `resume` dispatch what is due",
            )
        )
    if silent := [name for name in found.sample("silent") if name in doubtful]:
        findings.append(
            fail(
                "leases",
                f"{len(silent)} have run out, and nobody has moved the tasks: {_some(silent)}",
                "is a coordinator running? `taskloom up`, or `taskloom serve coordinator`",
            )
        )
    if found.overdue:
        findings.append(
            fail(
                "timers",
                f"{found.overdue} timeouts have struck, and nobody has noticed",
                "is a coordinator running? `taskloom up`, or `taskloom serve coordinator`",
            )
        )
    if found.left:
        findings.append(
            fail(
                "ended runs",
                f"{found.left} are over, and have tasks that are not",
                "`taskloom projection verify executions`; if it is right, report this as a bug",
            )
        )
    return findings


def _queues(
    found: Audit, depths: Mapping[WorkKind, Depth], doubtful: Collection[Named]
) -> list[Finding]:
    findings: list[Finding] = []
    for group in found.groups:
        kind = _kind(group)
        if kind is None or not group.late:
            continue
        depth, name = depths.get(kind), ".".join(kind).lower()
        age = (datetime.now(UTC) - group.oldest).total_seconds() if group.oldest else 0.0
        owed = [one for one in group.sample if one in doubtful]
        if owed and _is_empty(depths, group):
            findings.append(
                fail(
                    f"queue {name}",
                    f"is empty, and {len(owed)} tasks should be in it: {_some(owed)}",
                    "the coordinator sends them again within seconds: is it running?",
                )
            )
        elif depth is not None and not depth.is_there:
            findings.append(
                warn(
                    f"queue {name}",
                    f"is not there yet: {group.count} tasks wait until an agent makes it",
                    f"start one: `{start_of(kind[0], kind[1])}`;"
                    " or raise TASKLOOM_AMQP__STRANGERS, if agents of that type do not make queues",
                )
            )
        elif depth is not None and not depth.consumers:
            findings.append(
                warn(
                    f"queue {name}",
                    f"{group.count} tasks wait for an agent, the longest for {seconds(age)}",
                    f"start one: `{start_of(kind[0], kind[1])}`",
                )
            )
    return findings


def _questions(found: Audit) -> Sequence[Finding]:
    asks = found.sample("asks")
    if not asks:
        return []
    return [
        warn(
            "questions",
            f"{found.count('asks')} tasks need one that did not end well: {_some(asks)}",
            f"`taskloom why {asks[0].run_id} {asks[0].task_id}` names it: retry or skip it",
        )
    ]


def _some(names: Sequence[Named]) -> str:
    shown = ", ".join(f"{one.run_id} {one.task_id} ({one.status})" for one in names[:_SHOWN])
    return f"{shown} …" if len(names) > _SHOWN else shown
