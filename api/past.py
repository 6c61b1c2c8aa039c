"""The past: what was true at a position or a time, folded from the events up to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Response

from api.deps import Deps, Ports
from api.errors import BadMoment, MomentAhead
from api.reading import POSITION, VERSION
from domain.policies import Event
from domain.recorded import Recorded
from projections.past import Rows

_MOMENT = r"^(\d{1,18}|\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d))$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A moment that is asked about, and what had happened by then."""

    ports: Deps
    response: Response
    moment: int | datetime

    async def rows(self, *streams: str, **only: Any) -> Rows:
        """Return what views showed then of streams, or of those events that say ``only`` this."""
        told = self.response.headers
        # The first is asked about; what else is needed for an answer may have moved on later.
        before = int(told[POSITION]) if VERSION in told else 0
        events = [event for event in await self._events(*streams) if _is_about(event, only)]
        told[POSITION] = str(max([before, *(event.position for event in events)]))
        return Rows(events)

    async def _events(self, *streams: str) -> Sequence[Recorded[Event]]:
        """Return what had happened to streams by then; the version told is that of the first.

        Raises:
            MomentAhead: It has not come yet.
        """
        if isinstance(self.moment, datetime):
            is_ahead = self.moment > self.ports.clock.now()
        else:
            is_ahead = self.moment > await self.ports.head()
        if is_ahead:
            raise MomentAhead
        found: list[Recorded[Event]] = []
        for stream in dict.fromkeys(streams):
            then = [each for each in await self.ports.streams.read(stream) if self._is_past(each)]
            self.response.headers.setdefault(VERSION, str(len(then)))
            found += then
        return sorted(found, key=lambda recorded: recorded.position)

    def _is_past(self, recorded: Recorded[Event]) -> bool:
        moment = self.moment
        return (
            recorded.at <= moment if isinstance(moment, datetime) else recorded.position <= moment
        )


def _is_about(recorded: Recorded[Event], only: dict[str, Any]) -> bool:
    return all(getattr(recorded.event, name, None) == value for name, value in only.items())


async def _past(
    ports: Ports,
    response: Response,
    as_of: Annotated[
        str | None,
        Query(
            pattern=_MOMENT,
            description="Answer as of a position in the log, or of a time (RFC 3339).",
            examples=["42", "2026-01-31T12:00:00Z"],
        ),
    ] = None,
) -> Past | None:
    if as_of is None:
        return None
    moment: int | datetime
    if as_of.isdigit():
        moment = int(as_of)
    else:
        try:
            moment = datetime.fromisoformat(as_of.upper().replace("Z", "+00:00")).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise BadMoment(as_of) from error
    return Past(ports=ports, response=response, moment=moment)


AsOf = Annotated[Past | None, Depends(_past)]
"""The moment that is asked about; None is now."""
