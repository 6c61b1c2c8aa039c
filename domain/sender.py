"""A sender on the bus: somebody whose name is proven, and what is held against them.

Who is it that an offence is held against? Only whoever the broker or a signature names: what a
message says of itself could be said to harm an innocent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, assert_never

from pydantic import AwareDatetime, Field

from domain.values import Name, Text, Value

TOLERATED: Final = 3
"""Offences within the window: the last of them suspends."""

WINDOW: Final = timedelta(hours=1)
SUSPENSION: Final = timedelta(minutes=15)


class SenderOffended(Value):
    """Somebody spoke for another, or with a wrong signature; it was refused."""

    type: Literal["sender.offended"] = "sender.offended"
    sender: Name
    """A user of the broker, or ``agents/<id>`` where a signature proves it."""

    reason: Name
    """The code of the refusal."""

    detail: Text = ""
    message_id: Text = ""
    fingerprint: Name
    """What tells the message from all others: one that comes again is one offence."""

    at: AwareDatetime
    may_suspend: bool = False
    """Whether the sender is nobody but agents: a service that many share is never suspended."""


class SenderSuspended(Value):
    """Nothing is accepted from somebody for a while."""

    type: Literal["sender.suspended"] = "sender.suspended"
    sender: Name
    offences: Annotated[int, Field(ge=1)]
    until: AwareDatetime


class SenderReleased(Value):
    """A person has ended a suspension before its time."""

    type: Literal["sender.released"] = "sender.released"
    sender: Name
    reason: Text = ""


SenderEvent = SenderOffended | SenderSuspended | SenderReleased
SenderReport = SenderOffended | SenderReleased


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """What is held against somebody."""

    name: str
    offences: Sequence[tuple[str, datetime]] = ()
    """The messages they offended with lately, and when; the latest last."""

    until: datetime | None = None
    """When their suspension ends, if there was one."""

    def is_suspended(self, now: datetime) -> bool:
        """Return whether nothing is accepted from them."""
        return self.until is not None and now < self.until


def sender_stream(name: str) -> str:
    """Return the name of a sender's stream."""
    return f"sender:{name}"


def decide(sender: Sender | None, report: SenderReport, now: datetime) -> Sequence[SenderEvent]:
    """Say which events follow from a report.

    No more offences are recorded than are tolerated: whoever offends all day fills no log.
    """
    match report:
        case SenderOffended():
            lately = _lately(sender, now)
            is_suspended = sender is not None and sender.is_suspended(now)
            is_repeated = any(known == report.fingerprint for known, _ in lately)
            if is_suspended or is_repeated or len(lately) >= TOLERATED:
                return []
            if len(lately) + 1 < TOLERATED or not report.may_suspend:
                return [report]
            return [
                report,
                SenderSuspended(sender=report.sender, offences=TOLERATED, until=now + SUSPENSION),
            ]
        case SenderReleased():
            is_suspended = sender is not None and sender.is_suspended(now)
            return [report] if is_suspended else []
        case _:
            assert_never(report)


def evolve(sender: Sender | None, event: SenderEvent) -> Sender:
    """Return the sender after one more event."""
    known = sender or Sender(name=event.sender)
    match event:
        case SenderOffended(fingerprint=fingerprint, at=at):
            return replace(known, offences=(*_lately(known, at), (fingerprint, at)))
        case SenderSuspended(until=until):
            return replace(known, offences=(), until=until)
        case SenderReleased():
            return replace(known, offences=(), until=None)
        case _:
            assert_never(event)


def _lately(sender: Sender | None, now: datetime) -> Sequence[tuple[str, datetime]]:
    offences = () if sender is None else sender.offences
    return [(fingerprint, at) for fingerprint, at in offences if now - at < WINDOW]
