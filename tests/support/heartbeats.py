"""Heartbeats of an agent that is ready, and of others by what is different about them."""

from datetime import UTC, datetime

from bus.signals import Heartbeat

READY = Heartbeat(
    agent_id="ann",
    agent_type="CAD",
    role="execution",
    instance="1",
    lifecycle="ready",
    load=0,
    at=datetime(2026, 3, 1, tzinfo=UTC),
    cpu=0,
    memory_bytes=0,
)


def a_heartbeat(**changes: object) -> Heartbeat:
    """Return the heartbeat of ``ann``, but for some fields."""
    return Heartbeat.model_validate({**dict(READY), **changes})
