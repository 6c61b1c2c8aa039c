"""How the loops of the coordinator say what they have found out: as reports, like everybody."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import structlog

from bus.recorder import Recorder
from domain.errors import Refused, TaskloomError
from domain.policies import AnyReport
from domain.recorded import Report, derived_id

log = structlog.get_logger(__name__)


def saying(
    body: AnyReport, stream: str, *, purpose: str, now: datetime, actor: str
) -> Report[AnyReport]:
    """Return what is to be said to a stream; the same purpose makes it the same report."""
    report_id = derived_id(stream, purpose)
    return Report(
        id=report_id,
        stream=stream,
        body=body,
        said_at=now,
        actor=actor,
        correlation_id=report_id,
    )


async def tell(recorder: Recorder, reports: Sequence[Report[AnyReport]]) -> None:
    """Record reports; one that is refused has been overtaken, and does not matter any more.

    Raises:
        Unavailable: Some of them may not be recorded.
    """
    outcomes = await asyncio.gather(*recorder.record_all(reports), return_exceptions=True)
    for report, outcome in zip(reports, outcomes, strict=True):
        if isinstance(outcome, Refused):
            log.info("report.moot", by=report.actor, stream=report.stream, why=str(outcome))
        elif isinstance(outcome, TaskloomError):
            raise outcome
