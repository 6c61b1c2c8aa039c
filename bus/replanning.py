"""The replanner: knows who is there, and so can ask the planners for another graph.

It begins the replanning runs that plans ask for, with what the agents can do that are there now.
And it looks for work that nobody takes because no agent of its type is left: the runs that want it
are asked to plan around it.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Protocol

import structlog

from bus.looking import look_again
from bus.ports import Clock
from bus.recorder import Recorder
from bus.telling import saying, tell
from domain.errors import Refused
from domain.policies import AnyReport, Event
from domain.recorded import Recorded, Report, derived_id
from domain.replanning import Available, replanning_tasks
from domain.revisions import PlanReplanning, ReplanningGivenUp
from domain.run_events import RunRequested
from domain.steering import RunReplanRequested
from domain.values import AgentType

log = structlog.get_logger(__name__)

ACTOR = "taskloom.replanner"

_LONGEST_REASON: Final = 4_000

_PACE: Final = 1.0
"""Seconds between two looks."""

Missed = tuple[str, AgentType]
"""A run, and a type of agents that it waits for in vain."""


class Staff(Protocol):
    """The agents that are there, and the work that waits for others."""

    async def available(self) -> Available:
        """Return the types of agents that are there for execution, with their actions."""
        ...

    async def missed(self, *, patience: timedelta) -> Sequence[Missed]:
        """Return the runs with work that has waited so long, and of whose type nobody is there."""
        ...


class Replanner:
    """Begins replanning runs, and asks for them where agents are missed."""

    def __init__(
        self, staff: Staff, recorder: Recorder, clock: Clock, *, patience: timedelta
    ) -> None:
        self._staff = staff
        self._recorder = recorder
        self._clock = clock
        self._patience = patience
        self._asked: set[Missed] = set()

    async def __call__(self, events: Sequence[Recorded[Event]]) -> None:
        """Begin the runs that plans have asked for.

        Raises:
            Unavailable: Some may not have begun; the batch has to be repeated.
        """
        for recorded in events:
            if isinstance(recorded.event, PlanReplanning):
                await self._begin(recorded, recorded.event)

    async def _begin(self, recorded: Recorded[Event], asked: PlanReplanning) -> None:
        """Begin the run; where it cannot be, the plan has to know, and whoever waits for it."""

        async def say(body: RunRequested | ReplanningGivenUp, stream: str, purpose: str) -> None:
            await self._recorder.record(
                Report(
                    id=derived_id(recorded.id, purpose),
                    stream=stream,
                    body=body,
                    said_at=recorded.at,
                    actor=ACTOR,
                    correlation_id=recorded.correlation_id,
                    causation_id=recorded.id,
                    traceparent=recorded.traceparent,
                )
            )

        run = RunRequested(
            run_id=asked.planning_run,
            plan_id=asked.plan_id,
            kind="replanning",
            revision=asked.revision,
            priority=asked.priority,
            tasks=replanning_tasks(asked, await self._staff.available()),
        )
        try:
            await say(run, run.run_id, "replanning")
        except Refused as refusal:
            given_up = ReplanningGivenUp(
                plan_id=asked.plan_id,
                run_id=asked.planning_run,
                reason=f"another graph cannot be planned: {refusal}"[:_LONGEST_REASON],
            )
            await say(given_up, asked.plan_id, "given up")

    async def run(self) -> None:
        """Look again and again until cancelled."""
        self._asked.clear()
        await look_again(self.look, every=_PACE, who="replanner")

    async def look(self) -> None:
        """Ask once for plans around the agents that are missed; a run and type are asked once."""
        missed = set(await self._staff.missed(patience=self._patience))
        self._asked &= missed  # who came back may be missed again
        now = self._clock.now()
        reports: list[Report[AnyReport]] = []
        for run_id, agent_type in sorted(missed - self._asked):
            log.warning("replanner.misses", run=run_id, agent_type=agent_type)
            seconds = self._patience.total_seconds()
            body = RunReplanRequested(
                run_id=run_id,
                agent_type=agent_type,
                reason=f"no {agent_type} agent has been there for {seconds:g} s",
                is_automatic=True,
            )
            purpose = f"missed/{agent_type}/{now}"
            reports.append(saying(body, run_id, purpose=purpose, now=now, actor=ACTOR))
        if reports:
            await tell(self._recorder, reports)
        self._asked |= missed
