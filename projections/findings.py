"""What synthesis found: conflicts between the domains' plans, and what nobody planned."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from domain.findings import PlanConflictDetected
from domain.plan import PlanReady
from domain.policies import Event
from domain.recorded import Recorded
from domain.values import JsonObject
from projections.table import Connection
from projections.view import Key, View

MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class FindingRow:
    """One thing that was found about one plan."""

    plan_id: str
    position: int
    number: int
    """Which one of those that were found at that position."""

    kind: str
    """The kind of the conflict, or ``missing``."""

    finding: JsonObject


def keys(recorded: Recorded[Event]) -> Sequence[Key]:
    """Return nothing: what was found is written once."""
    del recorded
    return ()


def fold(
    rows: Mapping[Key, FindingRow], recorded: Recorded[Event]
) -> Iterable[tuple[Key, FindingRow | None]]:
    """Return what one more event has found."""
    del rows
    event = recorded.event
    found: list[tuple[str, JsonObject]] = []
    if isinstance(event, PlanConflictDetected):
        found = [(event.conflict.kind, event.conflict.model_dump(mode="json"))]
    elif isinstance(event, PlanReady):
        found = [(MISSING, {"what": what}) for what in event.missing]
    for number, (kind, finding) in enumerate(found):
        yield (
            (recorded.stream, recorded.position, number),
            FindingRow(
                plan_id=recorded.stream,
                position=recorded.position,
                number=number,
                kind=kind,
                finding=finding,
            ),
        )


FINDINGS = View(
    name="findings",
    version=1,
    row=FindingRow,
    key=("plan_id", "position", "number"),
    columns="""
        plan_id text collate "C", position bigint, number int,
        kind text not null, finding jsonb not null
    """,
    hears=frozenset({PlanConflictDetected, PlanReady}),
    keys=keys,
    fold=fold,
    is_a_log=True,
)


async def read_findings(
    connection: Connection, plan_id: str
) -> tuple[Sequence[JsonObject], Sequence[str]]:
    """Return the conflicts of a plan, and what is missing in it, as they were found."""
    cursor = await connection.execute(
        "select kind, finding from views.findings_1 where plan_id = %s order by position, number",
        [plan_id],
    )
    return _told(await cursor.fetchall())


def told(rows: Iterable[FindingRow]) -> tuple[Sequence[JsonObject], Sequence[str]]:
    """Return the conflicts among findings, and what is missing."""
    return _told([(row.kind, row.finding) for row in rows])


def _told(found: Sequence[tuple[str, JsonObject]]) -> tuple[Sequence[JsonObject], Sequence[str]]:
    conflicts = [finding for kind, finding in found if kind != MISSING]
    return conflicts, [str(finding["what"]) for kind, finding in found if kind == MISSING]
