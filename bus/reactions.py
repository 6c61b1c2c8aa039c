"""Policies at work: what an event means to other streams is said to the recorder."""

import asyncio
from collections.abc import Sequence

import structlog

from bus.recorder import Recorder
from domain.errors import Refused, UnreadableStream
from domain.policies import Event, reports_after
from domain.recorded import Recorded

log = structlog.get_logger(__name__)


class Reactions:
    """Records every reaction to a batch of events before the next batch is looked at."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def __call__(self, events: Sequence[Recorded[Event]]) -> None:
        """Say what follows from events.

        Raises:
            Unavailable: Some of it may not be recorded; the batch has to be repeated.
        """
        reports = [report for event in events for report in reports_after(event)]
        outcomes = self._recorder.record_all(reports)
        for report, outcome in zip(
            reports, await asyncio.gather(*outcomes, return_exceptions=True), strict=True
        ):
            if isinstance(outcome, Refused | UnreadableStream):
                # The other stream has moved on, or a rule is wrong: repeating it cannot help.
                log.error(
                    "reaction.refused",
                    report=report.body.type,
                    to=report.stream,
                    code=outcome.code,
                    why=str(outcome),
                )
            elif isinstance(outcome, BaseException):
                raise outcome
