"""What language models were asked and what it cost, by attempt, provider and model."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from domain.changed import changed
from domain.policies import Event
from domain.recorded import Recorded
from domain.run_events import ReportIgnored, TaskCompleted, TaskFailed, TaskStopped
from domain.usage import ModelCall
from projections.table import Connection
from projections.view import Key, View

Ends = TaskCompleted | TaskFailed | TaskStopped | ReportIgnored
"""What can tell of calls."""


@dataclass(frozen=True, kw_only=True)
class UsageRow:
    """What one attempt at a task has asked of one model.

    An attempt tells of its calls once, so a report that comes again changes nothing.
    """

    run_id: str
    task_id: str
    epoch: int
    agent_id: str
    provider: str
    model: str
    calls: int = 0
    """Calls that reached the provider: answered, malformed or failed."""

    malformed: int = 0
    failed: int = 0
    cached: int = 0
    """Answers that needed no call."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    """In US dollars, of those calls whose price is known."""

    unpriced: int = 0
    """Calls whose price nobody knows."""

    doubt_tokens: int = 0
    """What calls may have cost besides at most, whose end nobody heard."""

    doubt_cost: float = 0.0
    seconds: float = 0.0
    prompt: str = ""
    reason: str = ""
    """Why the last one that went wrong did."""

    at: datetime
    position: int


def keys(recorded: Recorded[Event]) -> Sequence[Key]:
    """Return the rows that an event speaks of: none, as a rule."""
    event = recorded.event
    assert isinstance(event, Ends)  # noqa: S101 # the view hears no others
    return list({_key(event, call): None for call in event.calls})


def fold(
    rows: Mapping[Key, UsageRow], recorded: Recorded[Event]
) -> Iterable[tuple[Key, UsageRow | None]]:
    """Return the rows of the attempt that an event tells the calls of."""
    event = recorded.event
    assert isinstance(event, Ends)  # noqa: S101 # the view hears no others
    told: dict[Key, UsageRow] = {}
    for call in event.calls:
        key = _key(event, call)
        if key in rows:
            continue  # it was told before
        row = told.get(key) or UsageRow(
            run_id=event.run_id,
            task_id=event.task_id,
            epoch=event.epoch,
            agent_id=event.agent_id,
            provider=call.provider,
            model=call.model,
            at=recorded.at,
            position=recorded.position,
        )
        told[key] = _with(row, call)
    return told.items()


USAGE = View(
    name="usage",
    version=1,
    row=UsageRow,
    key=("run_id", "task_id", "epoch", "agent_id", "provider", "model"),
    columns="""
        run_id text collate "C", task_id text collate "C", epoch int, agent_id text collate "C",
        provider text collate "C", model text collate "C", calls int not null,
        malformed int not null, failed int not null, cached int not null,
        input_tokens bigint not null, output_tokens bigint not null,
        cost double precision not null, unpriced int not null, doubt_tokens bigint not null,
        doubt_cost double precision not null, seconds double precision not null,
        prompt text not null, reason text not null, at timestamptz not null,
        position bigint not null
    """,
    hears=frozenset({TaskCompleted, TaskFailed, TaskStopped, ReportIgnored}),
    keys=keys,
    fold=fold,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTotals:
    """What all calls of one model came to."""

    provider: str
    model: str
    calls: int
    failed: int
    input_tokens: int
    output_tokens: int
    cost: float
    """In US dollars, of those calls whose price is known."""

    seconds: float


async def spent_by_model(connection: Connection) -> Sequence[ModelTotals]:
    """Return what each model has been asked for."""
    async with connection.cursor(row_factory=class_row(ModelTotals)) as cursor:
        await cursor.execute(
            "select provider, model, sum(calls)::bigint as calls, sum(failed)::bigint as failed,"
            " sum(input_tokens)::bigint as input_tokens,"
            " sum(output_tokens)::bigint as output_tokens, sum(cost) as cost,"
            " sum(seconds) as seconds from views.usage_1 group by provider, model"
            " order by provider, model"
        )
        return await cursor.fetchall()


async def usage_of(connection: Connection, runs: Sequence[str]) -> Sequence[UsageRow]:
    """Return what the attempts of some runs have asked of models, in order."""
    async with connection.cursor(row_factory=class_row(UsageRow)) as cursor:
        await cursor.execute(
            "select * from views.usage_1 where run_id = any(%s)"
            " order by position, run_id, task_id, provider, model",
            [list(runs)],
        )
        return await cursor.fetchall()


def _key(event: Ends, call: ModelCall) -> Key:
    return (event.run_id, event.task_id, event.epoch, event.agent_id, call.provider, call.model)


def _with(row: UsageRow, call: ModelCall) -> UsageRow:
    is_cached = call.outcome == "cached"
    return changed(
        row,
        calls=row.calls + (0 if is_cached else call.count),
        malformed=row.malformed + (call.count if call.outcome == "malformed" else 0),
        failed=row.failed + (call.count if call.outcome == "failed" else 0),
        cached=row.cached + (call.count if is_cached else 0),
        input_tokens=row.input_tokens + call.input_tokens,
        output_tokens=row.output_tokens + call.output_tokens,
        cost=row.cost + (call.cost or 0.0),
        unpriced=row.unpriced + (call.count if call.cost is None else 0),
        doubt_tokens=row.doubt_tokens + call.doubt_tokens,
        doubt_cost=row.doubt_cost + call.doubt_cost,
        seconds=row.seconds + call.seconds,
        prompt=call.prompt or row.prompt,
        reason=call.reason or row.reason,
    )
