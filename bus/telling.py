"""How the loops of the coordinator say what they have found out: as reports, like everybody."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import structlog

from bus.recorder import Recorder
from domain.errors import Refused
from domain.policies import AnyReport, Event
from domain.recorded import Recorded, Report, derived_id

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


async def tell(
    recorder: Recorder, reports: Sequence[Report[AnyReport]]
) -> Sequence[Recorded[Event]]:
    """Record reports, and return what they have led to.

    One that is refused has been overtaken, and does not matter any more.

    Raises:
        Unavailable: Some of them may not be recorded.
    """
    outcomes = await asyncio.gather(*recorder.record_all(reports), return_exceptions=True)
    events: list[Recorded[Event]] = []
    for report, outcome in zip(reports, outcomes, strict=True):
        if isinstance(outcome, Refused):
            log.info("report.moot", by=report.actor, stream=report.stream, why=str(outcome))
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            events += outcome.events
    return events
