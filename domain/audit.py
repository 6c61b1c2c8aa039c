"""The audit trail: who did, or was refused, what has to do with security. A stream for each day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import StringConstraints

from domain.values import Name, Personal, PersonalText, Value

Act = Literal[
    "login",
    "refresh",
    "refresh.reused",
    "logout",
    "password.changed",
    "user.created",
    "user.changed",
    "user.disabled",
    "sessions.ended",
    "key.created",
    "key.revoked",
    "key.used",
    "agent.token-issued",
    "agent.revoked",
    "identity.forged",
    "access.denied",
    "dead-letters.redriven",
    "dead-letters.discarded",
    "log.exported",
    "subject.forgotten",
    "break-glass",
]
"""What is written down."""


class AuditNoted(Value):
    """Something that has to do with security was done or refused."""

    type: Literal["audit.noted"] = "audit.noted"
    day: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$")]
    act: Act
    outcome: Literal["done", "refused"] = "done"
    subject: Name
    """Whom or what it was done to: a user, a key, a session, a path."""

    detail: PersonalText = ""
    address: Annotated[str, StringConstraints(max_length=100), Personal()] = ""
    """Where the request came from, if it was one."""


AuditEvent: TypeAlias = AuditNoted
AuditReport: TypeAlias = AuditNoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """How much was noted on a day."""

    notes: int = 0


def audit_stream(day: str) -> str:
    """Return the name of a day's stream."""
    return f"audit:{day}"


def decide(audit: Audit | None, report: AuditReport, now: datetime) -> Sequence[AuditEvent]:
    """Note whatever is said: a trail judges nothing."""
    return [report]


def evolve(audit: Audit | None, event: AuditEvent) -> Audit:
    """Return the trail after one more event."""
    return Audit(notes=1 + (audit.notes if audit else 0))
