"""Each contract runs twice: against the embedded broker and against RabbitMQ."""

from collections.abc import AsyncIterator, Iterator

import pytest

from bus.embedded import EmbeddedBroker
from tests.contracts.broker.client import Client
from tests.support.services import Servers


@pytest.fixture(scope="session")
def rabbitmq_vhost_url(servers: Servers) -> Iterator[str]:
    """A virtual host of RabbitMQ for all contracts together."""
    with servers.vhost() as url:
        yield url


@pytest.fixture(params=["embedded", pytest.param("rabbitmq", marks=pytest.mark.real)])
def rabbitmq_or_none(request: pytest.FixtureRequest) -> str | None:
    """The URL of RabbitMQ, None for the embedded broker."""
    if request.param == "embedded":
        return None
    return request.getfixturevalue("rabbitmq_vhost_url")


@pytest.fixture
async def amqp_url(rabbitmq_or_none: str | None) -> AsyncIterator[str]:
    """The broker that has to keep the contract."""
    if rabbitmq_or_none is not None:
        yield rabbitmq_or_none
        return
    async with EmbeddedBroker() as broker:
        yield broker.url


@pytest.fixture
async def client(amqp_url: str) -> AsyncIterator[Client]:
    """A client of the broker that has to keep the contract."""
    client = Client(amqp_url)
    yield client
    await client.close()
