"""The lease keeper: hears heartbeats, and moves what their silence has lost.

A lease is kept by being named in heartbeats. One that nobody names any more becomes ``task.lost``,
and the run dispatches its next epoch. Work that no agent ever took, and that is not in its queue
either, is published again: the broker may lose everything, the log does not.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from bus.failpoints import reach
from bus.ports import Clock
from bus.recorder import Recorder
from bus.relay import Relay
from bus.signals import Heartbeat
from bus.telling import saying, tell
from domain.errors import Unavailable
from domain.leases import ANYBODY, Attempt, AttemptKey, Sightings, WorkKind, judge
from domain.policies import AnyReport, Event
from domain.recorded import Recorded, Report
from domain.run_events import TaskLost

log = structlog.get_logger(__name__)

ACTOR = "taskloom.leases"


class Attempts(Protocol):
    """The attempts that have not ended, as far as the log has been followed."""

    async def started(self, *, before: datetime) -> Sequence[Attempt]:
        """Return those that agents started before a time."""
        ...

    async def waiting_kinds(self, *, before: datetime) -> Sequence[WorkKind]:
        """Return the kinds of those that were dispatched before a time and not started."""
        ...

    async def waiting(self, kind: WorkKind, *, before: datetime) -> Sequence[Attempt]:
        """Return the oldest of a kind that were dispatched before a time and not started."""
        ...

    async def work_of(self, attempts: Sequence[Attempt]) -> Sequence[Recorded[Event]]:
        """Return the events that dispatched attempts."""
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

    async def work(self, kind: WorkKind) -> int:
        """Return how many tasks of a kind wait for an agent."""
        ...


@dataclass(slots=True)
class _Heard:
    since: datetime
    agents: dict[str, datetime] = field(default_factory=dict[str, datetime])
    attempts: dict[AttemptKey, datetime] = field(default_factory=dict[AttemptKey, datetime])


class LeaseKeeper:
    """Judges attempts by what heartbeats say."""

    def __init__(
        self,
        *,
        attempts: Attempts,
        presence: Presence,
        depths: Depths,
        recorder: Recorder,
        relay: Relay,
        clock: Clock,
        lease: timedelta,
    ) -> None:
        self._attempts = attempts
        self._presence = presence
        self._depths = depths
        self._recorder = recorder
        self._relay = relay
        self._clock = clock
        self._lease = lease
        self._heard = _Heard(clock.now())

    def hear(self, heartbeat: Heartbeat) -> None:
        """Take note of a heartbeat."""
        now = self._clock.now()
        self._heard.agents[heartbeat.agent_id] = now
        for task in heartbeat.tasks:
            for agent_id in (heartbeat.agent_id, ANYBODY):
                self._heard.attempts[(task.run_id, task.task_id, task.epoch, agent_id)] = now

    async def run(self) -> None:
        """Judge again and again until cancelled."""
        self._heard = _Heard(self._clock.now())
        pause = self._lease.total_seconds() / 5
        while True:
            try:
                await self._look_for_agents()
                while True:
                    await asyncio.sleep(pause)
                    await self.sweep()
            except Unavailable as error:
                log.warning("leases.wait", why=str(error))
                await asyncio.sleep(pause)

    async def sweep(self) -> None:
        """Judge once."""
        now = self._clock.now()
        late = await self._late(now)
        if late:
            await self._settle(late, now)
        self._forget(now)

    async def _late(self, now: datetime) -> Sequence[Attempt]:
        """Return the attempts that somebody should have been heard of by now.

        Work that waits behind other work in its queue is not late: however much there is, it is
        not even read.
        """
        before = now - self._lease
        late = list(await self._attempts.started(before=before))
        for kind in await self._attempts.waiting_kinds(before=before):
            if not await self._depths.work(kind):
                late += await self._attempts.waiting(kind, before=before)
        return late

    async def _settle(self, late: Sequence[Attempt], now: datetime) -> None:
        heard = self._heard
        verdict = judge(
            late,
            Sightings(since=heard.since, agents=heard.agents, attempts=heard.attempts),
            now,
            lease=self._lease,
            has_backlog=await self._depths.reports() > 0,
        )
        if verdict.lost:
            log.warning("leases.lost", attempts=len(verdict.lost))
            reach("leases.before_record")
            await tell(self._recorder, [_lost(attempt, now) for attempt in verdict.lost])
        if verdict.owed:
            log.warning("leases.owed", attempts=len(verdict.owed))
            await self._relay.publish_work(await self._attempts.work_of(verdict.owed))
        for attempt in (*verdict.lost, *verdict.owed):
            # The view and the queue need time to show what was done about it.
            heard.attempts[attempt.key] = now

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
