"""The lease keeper: hears heartbeats, and moves what their silence has lost.

A lease is kept by being named in heartbeats. One that nobody names any more becomes ``task.lost``,
and the run dispatches its next epoch.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from bus.failpoints import reach
from bus.ports import Clock
from bus.recorder import Recorder
from bus.signals import Heartbeat
from bus.telling import saying, tell
from domain.errors import Unavailable
from domain.leases import ANYBODY, Attempt, AttemptKey, Sightings, is_lost
from domain.policies import AnyReport, Event
from domain.recorded import Recorded, Report
from domain.run_events import TaskLost

log = structlog.get_logger(__name__)

ACTOR: Final = "taskloom.leases"

_LOOKS: Final = 12
"""How often in a lease it is looked whether anybody has fallen silent."""

_AT_LEAST: Final = timedelta(seconds=1)
"""How long attempts may go unjudged although all agents are heard."""

DEAF: Final = timedelta(seconds=0.6)
"""How long an echo may take; after that it is us who hear nothing."""


class Started(Protocol):
    """The attempts that agents have started, as far as the log has been followed."""

    async def started(self, *, before: datetime) -> Sequence[Attempt]:
        """Return those that agents started before a time."""
        ...


class Presence(Protocol):
    """Which agents have been there."""

    async def agents(self) -> Sequence[str]:
        """Return the ids of the agents that were ever seen and have not said goodbye."""
        ...


class Depths(Protocol):
    """How many messages wait on the broker."""

    async def reports(self) -> int:
        """Return how many reports wait to be recorded."""
        ...


def _nobody(_: Sequence[Recorded[Event]]) -> None:
    pass


@dataclass(slots=True)
class _Heard:
    since: datetime
    echo: datetime
    """When this process last heard itself."""

    agents: dict[str, datetime] = field(default_factory=dict[str, datetime])
    instances: dict[str, str] = field(default_factory=dict[str, str])
    attempts: dict[AttemptKey, datetime] = field(default_factory=dict[AttemptKey, datetime])


class LeaseKeeper:
    """Judges attempts by what heartbeats say."""

    def __init__(
        self,
        *,
        attempts: Started,
        presence: Presence,
        depths: Depths,
        recorder: Recorder,
        clock: Clock,
        lease: timedelta,
        is_echoed: bool = False,
        moved: Callable[[Sequence[Recorded[Event]]], None] = _nobody,
    ) -> None:
        """Take where to look; ``is_echoed`` says that somebody calls ``hear_itself``.

        ``moved`` is told what the loss of attempts has led to.
        """
        self._attempts = attempts
        self._presence = presence
        self._depths = depths
        self._recorder = recorder
        self._clock = clock
        self._lease = lease
        self._is_echoed = is_echoed
        self._tell_moved = moved
        self._heard = _Heard(clock.now(), clock.now())
        self._judged_at = clock.now()
        self._watchful_until = clock.now()

    def hear(self, heartbeat: Heartbeat) -> None:
        """Take note of a heartbeat."""
        now, agent_id = self._clock.now(), heartbeat.agent_id
        self._heard.agents[agent_id] = now
        if self._heard.instances.setdefault(agent_id, heartbeat.instance) != heartbeat.instance:
            self._heard.instances[agent_id] = heartbeat.instance
            self._watchful_until = now + self._lease  # what its predecessor had runs out by then
        for task in heartbeat.tasks:
            for name in (agent_id, ANYBODY):
                self._heard.attempts[(task.run_id, task.task_id, task.epoch, name)] = now

    def hear_itself(self) -> None:
        """Take note that what is said is heard; after a pause everybody is given as long again."""
        now, heard = self._clock.now(), self._heard
        missed = now - heard.echo
        if abs(missed) > DEAF:
            log.info("leases.deaf", seconds=missed.total_seconds())
            heard.since = max(min(heard.since, now), now - self._lease + min(missed, self._lease))
        heard.echo = now

    async def run(self) -> None:
        """Judge again and again until cancelled."""
        self._heard = _Heard(self._clock.now(), self._clock.now())
        pause = self._lease.total_seconds() / _LOOKS
        while True:
            try:
                await self._look_for_agents()
                while True:
                    await asyncio.sleep(pause)
                    if self._is_worth_it():
                        await self.sweep()
            except Unavailable as error:
                log.warning("leases.wait", why=str(error))
                await asyncio.sleep(pause)

    async def sweep(self) -> None:
        """Judge once."""
        now = self._judged_at = self._clock.now()
        attempts = await self._attempts.started(before=now - self._lease)
        if attempts:
            await self._judge(attempts, now)
        self._forget(now)

    def _is_worth_it(self) -> bool:
        """Tell whether somebody has fallen silent, or nobody has looked for a while.

        Agents that go on and leave one attempt out are rare: for them nobody has to read all
        attempts ten times a second.
        """
        now = self._clock.now()
        if self._is_echoed and abs(now - self._heard.echo) > DEAF:
            return False
        silent_since = self._judged_at - self._lease
        if any(silent_since < at <= now - self._lease for at in self._heard.agents.values()):
            self._watchful_until = now + self._lease
        return now <= self._watchful_until or now - self._judged_at >= _AT_LEAST

    def sightings(self) -> Sightings:
        """Return what heartbeats have shown."""
        heard = self._heard
        return Sightings(since=heard.since, agents=heard.agents, attempts=heard.attempts)

    async def _judge(self, attempts: Sequence[Attempt], now: datetime) -> None:
        has_backlog = await self._depths.reports() > 0
        sightings = self.sightings()
        lost = [
            attempt
            for attempt in attempts
            if is_lost(attempt, sightings, now, lease=self._lease, has_backlog=has_backlog)
        ]
        if not lost:
            return
        log.warning("leases.lost", attempts=len(lost))
        reach("leases.before_record")
        self._tell_moved(await tell(self._recorder, [_lost(attempt, now) for attempt in lost]))
        for attempt in lost:
            # The view needs time to show what was done about it.
            self._heard.attempts[attempt.key] = now

    async def _look_for_agents(self) -> None:
        """Take agents that were there before for alive until they are silent for a lease."""
        for agent_id in await self._presence.agents():
            self._heard.agents.setdefault(agent_id, self._clock.now())

    def _forget(self, now: datetime) -> None:
        """Drop sightings that cannot matter any more, so that memory stays bounded."""
        old = now - self._lease * 10
        heard = self._heard
        heard.attempts = {key: at for key, at in heard.attempts.items() if at > old}
        heard.agents = {agent_id: at for agent_id, at in heard.agents.items() if at > old}
        heard.instances = {
            agent_id: instance
            for agent_id, instance in heard.instances.items()
            if agent_id in heard.agents
        }


def _lost(attempt: Attempt, now: datetime) -> Report[AnyReport]:
    body = TaskLost(
        run_id=attempt.run_id,
        task_id=attempt.task_id,
        epoch=attempt.epoch,
        agent_id=attempt.agent_id or "unknown",
        reason=f"{attempt.agent_id} has not named it in its heartbeats for a lease",
    )
    purpose = f"{attempt.task_id}/{attempt.epoch}/lost"
    return saying(body, attempt.run_id, purpose=purpose, now=now, actor=ACTOR)
