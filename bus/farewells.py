"""The farewells: who goes on sending heartbeats although it was deregistered is told again to stop.

The first ``agent.stop`` is a signal like any other order, and can be missed.
"""

from collections.abc import Sequence
from typing import Final

import structlog

from bus.looking import look_again
from bus.orders import AgentStop, encode_order
from bus.ports import Clock, Sender, Streams
from bus.signals import Heartbeat
from domain.agent import Agent, AgentDeregistered, agent_stream
from domain.policies import Event
from domain.recorded import Recorded, derived_id

log = structlog.get_logger(__name__)

PAUSE: Final = 2.0
"""Seconds between two looks: who was told the first time has them to say goodbye."""

_REMEMBERED: Final = 20_000


class Farewells:
    """Tells agents to stop whom the record does not know any more, as long as they are heard."""

    def __init__(self, streams: Streams, sender: Sender, clock: Clock) -> None:
        self._streams = streams
        self._sender = sender
        self._clock = clock
        self._heard: dict[str, str] = {}
        """The agents heard since the last look → which start of each."""

        self._welcome: dict[str, str] = {}
        """The agents of which the record has said that nobody has deregistered that start."""

    def hear(self, heartbeat: Heartbeat) -> None:
        """Take note that an agent is there; one that says goodbye itself knows that it leaves."""
        if heartbeat.lifecycle == "shutdown":
            self._heard.pop(heartbeat.agent_id, None)
        else:
            self._heard[heartbeat.agent_id] = heartbeat.instance

    def note(self, events: Sequence[Recorded[Event]]) -> None:
        """Hear who was deregistered."""
        for recorded in events:
            if isinstance(recorded.event, AgentDeregistered):
                self._welcome.pop(recorded.event.agent_id, None)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        await look_again(self.look, every=PAUSE, who="farewells")

    async def look(self) -> None:
        """Look once; the record is asked about each start of an agent once.

        Raises:
            Unavailable: The database does not answer.
        """
        heard, self._heard = self._heard, {}
        if len(self._welcome) > _REMEMBERED:
            self._welcome.clear()
        for agent_id, instance in heard.items():
            if self._welcome.get(agent_id) == instance:
                continue
            agent, _ = await self._streams.load(agent_stream(agent_id))
            if isinstance(agent, Agent) and _is_gone(agent, instance):
                self._stop(agent_id, instance)
            else:
                self._welcome[agent_id] = instance

    def _stop(self, agent_id: str, instance: str) -> None:
        log.info("farewells.order", agent=agent_id, instance=instance)
        message_id = derived_id(f"{agent_id}/{instance}", f"stop/{self._clock.now()}")
        order = AgentStop(instance=instance)
        self._sender.send(encode_order(order, agent_id, message_id=message_id))


def _is_gone(agent: Agent, instance: str) -> bool:
    return not agent.is_registered and agent.registration.instance == instance
