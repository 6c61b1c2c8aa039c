"""A RabbitMQ that may be harmed."""

from collections.abc import Iterator

import pytest

from infra.services.rabbitmq import PrivateRabbitMQ
from tests.support.brokers import RabbitMQ, fresh_vhost, start_node
from tests.support.ground import Ground


@pytest.fixture(scope="module")
def own_rabbitmq() -> Iterator[RabbitMQ]:
    """A node of our own.

    Deleting queues that are being declared can leave RabbitMQ unable to declare any that
    dead-letters at least once, in every virtual host, until the node is started again
    (rabbitmq-server issue 16652). Nobody else may have to live with that.
    """
    ground = Ground()
    try:
        node: PrivateRabbitMQ = start_node(ground)
        yield RabbitMQ(node.url, node.management_url)
    finally:
        ground.close()


@pytest.fixture
def own_vhost_url(own_rabbitmq: RabbitMQ) -> Iterator[str]:
    """The AMQP URL of a fresh virtual host on our own node."""
    with fresh_vhost(own_rabbitmq) as url:
        yield url
