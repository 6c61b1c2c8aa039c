"""Who still holds what: which attempts are lost with their agents, and which work never arrived."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from domain.values import AgentType, Lane, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt that has neither a result nor an end."""

    run_id: str
    task_id: str
    epoch: int
    state: Literal["dispatched", "started"]
    since: datetime
    """When it was dispatched or started."""

    agent_id: str | None
    agent_type: AgentType
    role: Role
    lane: Lane
    delay: int
    """Seconds its work waits before any agent gets it."""

    position: int
    """Where the log holds the event that dispatched it."""

    instance: str | None = None
    """Which start of the agent has started it, where that is known."""

    lease: timedelta | None = None
    """How long its agent may be silent, where it is not what agents may in general."""

    @property
    def due(self) -> datetime:
        """When it came into its state, or will be there for agents to take."""
        return self.since + timedelta(seconds=self.delay if self.state == "dispatched" else 0)

    @property
    def key(self) -> "AttemptKey":
        """What names it in a heartbeat."""
        return (self.run_id, self.task_id, self.epoch, self.agent_id or ANYBODY)

    @property
    def kind(self) -> "WorkKind":
        """Which queue its work waits in."""
        return (self.role, self.agent_type, self.lane)


AttemptKey = tuple[str, str, int, str]
"""Run, task, epoch, and the agent that names it: only its holder keeps a started attempt alive."""

ANYBODY = ""
"""Stands for whoever names an attempt that nobody has started."""
WorkKind = tuple[Role, AgentType, Lane]
DelayedKind = tuple[int, Role, AgentType]
"""So many seconds before the next attempt, and who is to make it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sightings:
    """What heartbeats have shown."""

    since: datetime
    """From when on somebody has listened."""

    agents: Mapping[str, datetime]
    """When each agent was heard last."""

    attempts: Mapping[AttemptKey, datetime]
    """When each attempt was last named, by each agent and by anybody."""


def is_lost(
    attempt: Attempt,
    sightings: Sightings,
    now: datetime,
    *,
    lease: timedelta,
    has_backlog: bool,
) -> bool:
    """Tell whether a started attempt is lost with its agent, and needs a new epoch.

    While reports still wait to be recorded (``has_backlog``), an agent that is alive is believed:
    the result may be among them.
    """
    lease = attempt.lease or lease
    heard = sightings.agents.get(attempt.agent_id or "", sightings.since)
    is_alive = now - heard <= lease
    return now - _proof(attempt, sightings) > lease and not (is_alive and has_backlog)


def is_owed(attempt: Attempt, sightings: Sightings, now: datetime, *, patience: timedelta) -> bool:
    """Tell whether nobody has shown for long to have an attempt that no agent has started."""
    return now - _proof(attempt, sightings) > patience


def _proof(attempt: Attempt, sightings: Sightings) -> datetime:
    """Return the latest time at which an attempt may have been well."""
    named = sightings.attempts.get(attempt.key, attempt.due)
    return max(attempt.due, sightings.since, named)
