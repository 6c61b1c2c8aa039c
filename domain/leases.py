"""Who still holds what: which attempts are lost with their agents, and which work never arrived."""

from collections.abc import Iterable, Mapping, Sequence
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What has to happen to attempts."""

    lost: Sequence[Attempt]
    """Their agents are gone: each needs a new epoch."""

    owed: Sequence[Attempt]
    """No agent has taken them for long: their work may never have arrived, and is sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sightings:
    """What heartbeats have shown."""

    since: datetime
    """From when on somebody has listened."""

    agents: Mapping[str, datetime]
    """When each agent was heard last."""

    attempts: Mapping[AttemptKey, datetime]
    """When each attempt was last named, by each agent and by anybody."""


def judge(
    attempts: Iterable[Attempt],
    sightings: Sightings,
    now: datetime,
    *,
    lease: timedelta,
    has_backlog: bool,
) -> Verdict:
    """Say which attempts are lost and which are owed.

    While reports still wait to be recorded (``has_backlog``), an agent that is alive is believed:
    the result may be among them.
    """
    lost: list[Attempt] = []
    owed: list[Attempt] = []
    for attempt in attempts:
        proof = max(
            attempt.since, sightings.since, sightings.attempts.get(attempt.key, attempt.since)
        )
        if attempt.state == "started":
            heard = sightings.agents.get(attempt.agent_id or "", sightings.since)
            is_alive = now - heard <= lease
            if now - proof > lease and not (is_alive and has_backlog):
                lost.append(attempt)
        elif now - proof > lease + timedelta(seconds=attempt.delay) and not has_backlog:
            owed.append(attempt)
    return Verdict(lost=lost, owed=owed)
