"""What surrounds a fact: who said it, when, why, and where it is kept."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID, uuid5

from domain.values import Value

E_co = TypeVar("E_co", bound=Value, covariant=True)

NAMESPACE = UUID("6f5f3f0e-2a44-5d7c-9d5e-7a2f1c0b9e11")
"""The namespace of every id that is derived instead of drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(Generic[E_co]):
    """Something said to one stream, not yet checked.

    Its id is its identity: whoever says it again with the same id has said it once.
    """

    id: str
    stream: str
    body: E_co
    said_at: datetime
    actor: str
    correlation_id: str
    causation_id: str | None = None
    traceparent: str | None = None
    at_version: int | None = None
    """The version of the stream that it relies on, where it does."""

    vouched: str = ""
    """The agents that the broker vouches for as its senders: ``execution.cad``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Generic[E_co]):
    """An event as it stands in the log."""

    id: str
    position: int
    """Its place among all events: it grows, with gaps."""

    stream: str
    version: int
    """Its place in its stream: 1, 2, 3 …"""

    event: E_co
    at: datetime
    actor: str
    correlation_id: str
    causation_id: str | None = None
    """The id of the report that led to it."""

    traceparent: str | None = None
    schema_version: int = 1

    @property
    def type(self) -> str:
        """The event's type, as it is stored, routed and grepped for."""
        return str(getattr(self.event, "type"))  # noqa: B009 # every event has one; the bound cannot say so


def derived_id(origin: str, purpose: str) -> str:
    """Return the one id that ``purpose`` gives to ``origin``: asked twice, it is the same."""
    return str(uuid5(NAMESPACE, f"{origin}/{purpose}"))
