"""The health keeper: hears heartbeats, and says how each agent is when that changes.

What heartbeats said last is kept for whoever asks; what they mean is recorded as ``agent.status``.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from bus.ports import Clock
from bus.recorder import Recorder
from bus.signals import Heartbeat
from bus.telling import saying, tell
from domain.agent import AgentStatus, Health, agent_stream
from domain.errors import Unavailable
from domain.policies import AnyReport
from domain.recorded import Report

log = structlog.get_logger(__name__)

ACTOR = "taskloom.health"


class Presence(Protocol):
    """What agents' heartbeats said last, for whoever asks."""

    async def seen(self, heartbeats: Sequence[Heartbeat], at: datetime) -> None:
        """Keep the latest heartbeats."""
        ...

    async def agents(self) -> Sequence[str]:
        """Return the ids of the agents that were ever seen and have not said goodbye."""
        ...


@dataclass(slots=True)
class _Heard:
    agents: dict[str, datetime] = field(default_factory=dict[str, datetime])
    voices: set[str] = field(default_factory=set[str])
    """The agents that were heard, and not only taken for alive."""

    news: dict[str, Heartbeat] = field(default_factory=dict[str, Heartbeat])
    health: dict[str, Health] = field(default_factory=dict[str, Health])


class HealthKeeper:
    """Judges agents by what their heartbeats say."""

    def __init__(
        self, *, presence: Presence, recorder: Recorder, clock: Clock, lease: timedelta
    ) -> None:
        self._presence = presence
        self._recorder = recorder
        self._clock = clock
        self._lease = lease
        self._heard = _Heard()

    def hear(self, heartbeat: Heartbeat) -> None:
        """Take note of a heartbeat."""
        self._heard.agents[heartbeat.agent_id] = self._clock.now()
        self._heard.voices.add(heartbeat.agent_id)
        self._heard.news[heartbeat.agent_id] = heartbeat

    async def run(self) -> None:
        """Judge again and again until cancelled."""
        self._heard = _Heard()
        pause = self._lease.total_seconds() / 5
        while True:
            try:
                await self._look_for_agents()
                while True:
                    await asyncio.sleep(pause)
                    await self.sweep()
            except Unavailable as error:
                log.warning("health.waits", why=str(error))
                await asyncio.sleep(pause)

    async def sweep(self) -> None:
        """Judge once."""
        now = self._clock.now()
        news, self._heard.news = self._heard.news, {}
        if news:
            await self._presence.seen(list(news.values()), now)
        await self._tell(now)
        self._forget(now)

    async def _look_for_agents(self) -> None:
        """Take agents that were there before for alive until they are silent for a lease."""
        for agent_id in await self._presence.agents():
            self._heard.agents.setdefault(agent_id, self._clock.now())

    async def _tell(self, now: datetime) -> None:
        reports: list[Report[AnyReport]] = []
        told: dict[str, Health] = {}
        for agent_id, at in self._heard.agents.items():
            is_silent = now - at > self._lease
            health: Health = "offline" if is_silent else "healthy"
            # What was told before this keeper began, only the record knows: it passes over repeats.
            is_assumed = not is_silent and agent_id not in self._heard.voices
            if is_assumed or self._heard.health.get(agent_id) == health:
                continue
            reason = f"no heartbeat since {at:%H:%M:%S} UTC" if is_silent else "heard again"
            status = AgentStatus(
                agent_id=agent_id,
                lifecycle="recovering" if is_silent else "ready",
                health=health,
                reason=reason,
            )
            told[agent_id] = health
            stream, purpose = agent_stream(agent_id), f"{health}/{now}"
            reports.append(saying(status, stream, purpose=purpose, now=now, actor=ACTOR))
        await tell(self._recorder, reports)
        self._heard.health |= told

    def _forget(self, now: datetime) -> None:
        """Drop agents that have been offline for long, so that memory stays bounded."""
        old = now - self._lease * 10
        heard = self._heard
        heard.agents = {
            agent_id: at
            for agent_id, at in heard.agents.items()
            if at > old or heard.health.get(agent_id) != "offline"
        }
        heard.voices &= heard.agents.keys()
        heard.health = {name: told for name, told in heard.health.items() if name in heard.agents}
