"""Writing down what has to do with security."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, Literal

import structlog
from starlette.requests import HTTPConnection

from bus.ports import Clock
from bus.recorder import Outcome
from domain.audit import Act, AuditNoted, audit_stream
from domain.errors import Unavailable
from domain.policies import AnyReport
from domain.recorded import Report

log = structlog.get_logger(__name__)

MOST_DENIALS: Final = 100
"""Denials of one actor a minute that are written down; how many more there were, the log says.

Who says nothing of themselves is counted by address: one who is noisy hides nobody else.
"""

NOBODY: Final = "nobody"
"""Who acts where nobody knows who it is."""

_MOST_ACTORS = 10_000


class Auditor:
    """Notes acts in the trail of the day."""

    def __init__(
        self,
        record: Callable[[Report[AnyReport]], Awaitable[Outcome]],
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._record = record
        self._clock = clock
        self._new_id = new_id
        self._denials: OrderedDict[str, tuple[datetime, int]] = OrderedDict()

    async def note(
        self,
        act: Act,
        subject: str,
        *,
        actor: str,
        outcome: Literal["done", "refused"] = "done",
        detail: str = "",
        address: str = "",
    ) -> None:
        """Note an act. Where the record is not to be had, the process's log has it."""
        now = self._clock.now()
        who = f"{actor} at {address}" if actor == NOBODY else actor
        if outcome == "refused" and not self._is_worth_noting(who, now):
            return
        body = AuditNoted(
            day=f"{now:%Y-%m-%d}",
            act=act,
            outcome=outcome,
            subject=subject[:200] or "?",
            detail=detail[:4_000],
            address=address[:100],
        )
        report = Report(
            id=self._new_id(),
            stream=audit_stream(body.day),
            body=body,
            said_at=now,
            actor=actor,
            correlation_id=self._new_id(),
        )
        try:
            await self._record(report)
        except Unavailable as error:
            log.warning("audit.not_recorded", act=act, subject=subject, why=str(error))

    def _is_worth_noting(self, who: str, now: datetime) -> bool:
        begun, count = self._denials.pop(who, (now, 0))
        if now - begun >= timedelta(minutes=1):
            self._tell_of_more(who, count)
            begun, count = now, 0
        if count == MOST_DENIALS:
            log.warning("audit.too_many", who=who, a_minute=MOST_DENIALS)
        self._denials[who] = (begun, count + 1)
        if len(self._denials) > _MOST_ACTORS:
            forgotten, (_, known) = self._denials.popitem(last=False)
            self._tell_of_more(forgotten, known)
        return count < MOST_DENIALS

    def _tell_of_more(self, who: str, count: int) -> None:
        if count > MOST_DENIALS:
            log.warning("audit.left_out", who=who, denials=count - MOST_DENIALS)


def address_of(request: HTTPConnection) -> str:
    """Return where a request comes from: what the socket says, never what a header claims."""
    return request.client.host if request.client else ""
