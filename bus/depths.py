"""How many messages wait in a queue, asked of the broker itself."""

from aio_pika import RobustConnection
from aiormq.exceptions import AMQPError, ChannelNotFoundEntity

from bus.topology import REPORTS, WORK, work_key
from domain.errors import Unavailable
from domain.leases import WorkKind


class BrokerUnavailable(Unavailable):
    """The broker does not answer."""

    code = "broker-unavailable"

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"the broker does not answer: {str(error) or type(error).__name__}")


class BrokerDepths:
    """Asks over a channel of its own each time: asking for a queue that is gone closes it."""

    def __init__(self, connection: RobustConnection) -> None:
        self._connection = connection

    async def reports(self) -> int:
        """Return how many reports wait to be recorded."""
        return await self._ready(REPORTS)

    async def work(self, kind: WorkKind) -> int:
        """Return how many tasks of a kind wait for an agent."""
        return await self._ready(f"{WORK}.{work_key(*kind)}")

    async def _ready(self, queue: str) -> int:
        """Return how many messages wait: none, in a queue that does not exist."""
        transport = self._connection.transport
        if transport is None:
            raise BrokerUnavailable(ConnectionError("the connection is being made"))
        try:
            channel = await transport.connection.channel()
            declared = await channel.queue_declare(queue, passive=True, timeout=5)
            await channel.close()
        except ChannelNotFoundEntity:
            return 0
        except (AMQPError, OSError, RuntimeError, TimeoutError) as error:
            raise BrokerUnavailable(error) from error
        return declared.message_count or 0
