"""Makes the broker have what is needed, again and again."""

import asyncio

import structlog
from aio_pika import RobustConnection

from bus.lost import LOST, telling_loss
from bus.topology import declare, declare_work, topology
from domain.values import AgentType, Role

log = structlog.get_logger(__name__)

_LOOK_AGAIN = 5.0
"""Seconds between two looks at whether the broker still has everything."""


class Declaring:
    """Declares over a channel for the purpose: a refusal closes it, and harms nobody else."""

    def __init__(self, connection: RobustConnection) -> None:
        self._connection = connection

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

        Raises:
            AMQPError, OSError, RuntimeError: The broker refuses, or is away.
        """
        with telling_loss():
            async with self._connection.channel() as channel:
                await declare_work(channel, role, agent_type)

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
