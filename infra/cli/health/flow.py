"""Looks whether events flow: who leads, what is not published yet, and what kills its readers."""

from datetime import UTC, datetime
from typing import Final

from domain.errors import UnreadableStream
from infra.cli.health.findings import Finding, fail, ok, warn
from infra.cli.output import seconds
from infra.cli.reading import Record
from infra.store.suspects import SuspectTable
from projections.catalog import PROJECTED
from projections.executions import count_active
from projections.positions import read_positions

SLOW: Final = 5.0
"""Seconds after which an event should have reached whoever follows the log."""


async def look_at_flow(opened: Record) -> list[Finding]:
    """Return what is found."""
    head = await opened.store.head()
    async with opened.pool.connection() as connection:
        views = await read_positions(connection, PROJECTED)
        runs = await count_active(connection)
    relay = await opened.store.position_of("relay")
    reactions = await opened.store.position_of("reactions")
    start = "`taskloom serve coordinator`, or `taskloom up`"
    findings = [
        await _lead(opened, is_needed=bool(runs) or relay < head),
        await _follower(opened, "published", relay, head, f"the broker, and {start}"),
        await _follower(opened, "reactions", reactions, head, start),
        await _follower(
            opened,
            "projector",
            min(views.values(), default=0),
            head,
            "`taskloom serve projector`, or `taskloom up`",
        ),
    ]
    suspects = await SuspectTable(opened.pool).count()
    if suspects:
        findings.append(
            warn(
                "suspects",
                f"{suspects} messages were being read when their reader died",
                "they are read again one by one; what kills again becomes a dead letter",
            )
        )
    return findings


async def _lead(opened: Record, *, is_needed: bool) -> Finding:
    if await opened.store.is_led("coordinator"):
        return ok("coordinator", "one leads")
    judge = fail if is_needed else warn
    return judge("coordinator", "none leads", "`taskloom serve coordinator`, or `taskloom up`")


async def _follower(opened: Record, what: str, position: int, head: int, advice: str) -> Finding:
    if position >= head:
        return ok(what, "all of the log")
    try:
        events = await opened.store.read_all(after=position, limit=1)
    except UnreadableStream as error:
        return fail(what, f"stops after position {position}: {error}", "run the newer code")
    age = (datetime.now(UTC) - events[0].at).total_seconds() if events else 0.0
    shown = f"{head - position} positions behind, by {seconds(max(age, 0.0))}"
    if age <= SLOW:
        return ok(what, shown)
    return fail(what, shown, f"is it running? {advice}")
