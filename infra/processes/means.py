"""What a coordinator has at hand before it leads."""

from dataclasses import dataclass

from psycopg_pool import AsyncConnectionPool

from bus.depths import BrokerDepths
from bus.publishing import Publisher
from bus.subscriber_queues import QueueCarrier
from infra.processes.declaring import Declaring
from infra.settings import Settings
from infra.store.store import PostgresStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a coordinator has at hand before it leads; each publisher has a channel of its own."""

    settings: Settings
    store: PostgresStore
    pool: AsyncConnectionPool
    broker: Declaring
    publisher: Publisher
    letters: Publisher
    """Sends letters again: the relay must not wait behind thousands of them."""

    holding: Publisher
    """Moves what is held: it must not wait behind what the relay publishes."""

    subscribers: QueueCarrier
    depths: BrokerDepths
