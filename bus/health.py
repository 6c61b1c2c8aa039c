"""The health keeper: hears heartbeats, and says how each agent is when that changes.

What heartbeats said last is kept for whoever asks; what they mean is recorded as ``agent.status``.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from bus.leases import DEAF
from bus.ports import Clock
from bus.recorder import Recorder
from bus.signals import Heartbeat
from bus.telling import saying, tell
from bus.tracks import Track, usual_seconds
from domain.agent import AgentDeregistered, AgentRegistered, AgentStatus, Health, agent_stream
from domain.errors import Unavailable
from domain.health import Limits, Observed, Standing, judge
from domain.policies import AnyReport, Event
from domain.recorded import Recorded, Report

log = structlog.get_logger(__name__)

ACTOR = "taskloom.health"

_LONGEST_REASON = 4_000

_PACE = 0.5
"""Seconds between two looks at least."""


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
    tracks: dict[str, Track] = field(default_factory=dict[str, Track])
    awaited: dict[str, datetime] = field(default_factory=dict[str, datetime])
    """The agents that should be there and have not been heard yet → since when."""

    news: dict[str, Heartbeat] = field(default_factory=dict[str, Heartbeat])
    standings: dict[str, Standing] = field(default_factory=dict[str, Standing])
    told: dict[str, Health] = field(default_factory=dict[str, Health])


class HealthKeeper:
    """Judges agents by what their heartbeats say."""

    def __init__(
        self,
        *,
        presence: Presence,
        recorder: Recorder,
        clock: Clock,
        lease: timedelta,
        limits: Limits | None = None,
        is_echoed: bool = False,
    ) -> None:
        """Take where to look; ``is_echoed`` says that somebody calls ``hear_itself``."""
        self._presence = presence
        self._recorder = recorder
        self._clock = clock
        self._lease = lease
        self._limits = limits or Limits()
        self._is_echoed = is_echoed
        self._echo = clock.now()
        self._heard = _Heard()

    def hear(self, heartbeat: Heartbeat) -> None:
        """Take note of a heartbeat."""
        now, heard = self._clock.now(), self._heard
        track = heard.tracks.get(heartbeat.agent_id)
        if track is not None and track.last.instance == heartbeat.instance:
            track.hear(heartbeat, now, lease=self._lease, window=self._limits.window)
        else:  # another start is another beginning, in the record as well
            heard.tracks[heartbeat.agent_id] = Track(at=now, last=heartbeat)
            heard.standings.pop(heartbeat.agent_id, None)
            heard.told.pop(heartbeat.agent_id, None)
        heard.awaited.pop(heartbeat.agent_id, None)
        heard.news[heartbeat.agent_id] = heartbeat

    def note(self, events: Sequence[Recorded[Event]]) -> None:
        """Wait for the heartbeats of who registers: a start that never sends any is silent too."""
        now, heard = self._clock.now(), self._heard
        for recorded in events:
            event = recorded.event
            if isinstance(event, AgentDeregistered):
                heard.awaited.pop(event.agent_id, None)
            if not isinstance(event, AgentRegistered):
                continue
            track = heard.tracks.get(event.agent_id)
            if track is None or track.last.instance != event.instance:
                for memory in (heard.tracks, heard.standings, heard.told):
                    memory.pop(event.agent_id, None)
                heard.awaited[event.agent_id] = now

    def hear_itself(self) -> None:
        """Take note that what is said is heard; after a pause everybody begins anew."""
        now = self._clock.now()
        if abs(now - self._echo) > DEAF:
            for track in self._heard.tracks.values():
                track.begin_anew(now)
            self._heard.awaited = dict.fromkeys(self._heard.awaited, now)
        self._echo = now

    async def run(self) -> None:
        """Judge again and again until cancelled."""
        self._heard = _Heard()
        self._echo = self._clock.now()
        pause = max(self._lease.total_seconds() / 5, _PACE)
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
        if self._is_echoed and abs(now - self._echo) > DEAF:
            return
        self._judge(now)
        await self._tell(now)
        self._forget(now)

    async def _look_for_agents(self) -> None:
        """Take agents that were there before for alive until they are silent for a lease."""
        now, heard = self._clock.now(), self._heard
        for agent_id in await self._presence.agents():
            if agent_id not in heard.tracks:
                heard.awaited.setdefault(agent_id, now)

    def _judge(self, now: datetime) -> None:
        heard, limits, lease = self._heard, self._limits, self._lease
        usual = usual_seconds(heard.tracks.values(), now, limits=limits)
        for agent_id, track in heard.tracks.items():
            before = heard.standings.get(agent_id)
            observed = track.observed(now, limits=limits, usual_seconds=usual.get(track.kind))
            heard.standings[agent_id] = judge(observed, before, now, lease=lease, limits=limits)
        for agent_id, since in heard.awaited.items():
            if now - since > lease:
                before = heard.standings.get(agent_id)
                silent = Observed(silence=now - since)
                heard.standings[agent_id] = judge(silent, before, now, lease=lease, limits=limits)

    async def _tell(self, now: datetime) -> None:
        """Say what has changed; what was told before we began, the record passes over."""
        reports: list[Report[AnyReport]] = []
        told: dict[str, Health] = {}
        for agent_id, standing in self._heard.standings.items():
            if self._heard.told.get(agent_id) == standing.health:
                continue
            status = AgentStatus(
                agent_id=agent_id,
                lifecycle="recovering" if standing.health == "offline" else "ready",
                health=standing.health,
                reason=standing.reason[:_LONGEST_REASON],
            )
            told[agent_id] = standing.health
            stream, purpose = agent_stream(agent_id), f"{standing.health}/{now}"
            reports.append(saying(status, stream, purpose=purpose, now=now, actor=ACTOR))
        await tell(self._recorder, reports)
        self._heard.told |= told

    def _forget(self, now: datetime) -> None:
        """Drop agents that have been offline for long, so that memory stays bounded."""
        old, heard = now - self._lease * 10, self._heard
        gone = [
            agent_id
            for agent_id, health in heard.told.items()
            if health == "offline" and self._last_seen(agent_id, now) <= old
        ]
        for agent_id in gone:
            for memory in (heard.tracks, heard.awaited, heard.standings, heard.told):
                memory.pop(agent_id, None)

    def _last_seen(self, agent_id: str, now: datetime) -> datetime:
        track = self._heard.tracks.get(agent_id)
        return track.at if track else self._heard.awaited.get(agent_id, now)
