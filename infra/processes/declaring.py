"""Makes the broker have what is needed, again and again."""

import asyncio
from typing import Final

import structlog
from aio_pika import RobustConnection

from bus.depths import BrokerDepths
from bus.lost import LOST, telling_loss
from bus.relay import TooManyTypes
from bus.topology import (
    EXECUTION_TYPES,
    LANES,
    PLANNING_TYPES,
    declare,
    declare_work,
    topology,
)
from domain.values import AgentType, Role

log = structlog.get_logger(__name__)

_LOOK_AGAIN = 5.0
"""Seconds between two looks at whether the broker still has everything."""

_OURS: Final = frozenset[tuple[Role, AgentType]](
    [
        *(("planning", agent_type) for agent_type in PLANNING_TYPES),
        *(("execution", agent_type) for agent_type in EXECUTION_TYPES),
    ]
)


class Declaring:
    """Declares over a channel for the purpose: a refusal closes it, and harms nobody else."""

    def __init__(
        self, connection: RobustConnection, *, depths: BrokerDepths, strangers: int
    ) -> None:
        """Take how many agent types get queues here that are not of the topology.

        ``depths`` says which are there; over another connection, since asking can end it.
        """
        self._connection = connection
        self._depths = depths
        self._strangers = strangers
        self._made: set[tuple[Role, AgentType]] = set()

    async def everything(self) -> None:
        """Declare the topology; where all of it is there, nothing changes.

        Raises:
            AMQPError, OSError, RuntimeError: The broker refuses, or is away.
        """
        with telling_loss():
            async with self._connection.channel() as channel:
                await declare(channel, topology())

    async def work(self, role: Role, agent_type: AgentType) -> None:
        """Declare the queues of an agent type that nobody has heard of before.

        Whoever submits a plan names types, and a broker has no place for any number of queues.

        Raises:
            TooManyTypes: As many others have theirs from us, and no agent has made these.
            AMQPError, OSError, RuntimeError, Unavailable: The broker refuses, or is away.
        """
        kind = (role, agent_type)
        with telling_loss():
            if kind not in _OURS | self._made and not await self._are_there(kind):
                if len(self._made) >= self._strangers:
                    raise TooManyTypes(role, agent_type, self._strangers)
                self._made.add(kind)
            async with self._connection.channel() as channel:
                # Again where they are: whoever has made them may not have come to bind them.
                await declare_work(channel, role, agent_type)

    async def _are_there(self, kind: tuple[Role, AgentType]) -> bool:
        depths = [await self._depths.work((*kind, lane)) for lane in LANES]
        return all(depth.is_there for depth in depths)

    async def run(self) -> None:
        """Declare everything again and again until cancelled.

        Nobody is told when an exchange or a binding is deleted: its publishers would repeat, and
        wait, for ever.
        """
        while True:
            await asyncio.sleep(_LOOK_AGAIN)
            try:
                await self.everything()
            except LOST as error:
                log.warning("topology.waits", why=str(error))
