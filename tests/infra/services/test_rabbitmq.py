from pathlib import Path

import aiormq
import psutil
import pytest

from infra.services.errors import ServiceUnavailable
from infra.services.leash import has_ended
from infra.services.rabbitmq import PrivateRabbitMQ


@pytest.mark.node
async def test_a_private_node_answers_and_leaves_nothing_running(state_dir: Path) -> None:
    before = set(psutil.Process().children(recursive=True))  # of other tests
    async with PrivateRabbitMQ(state_dir) as node:
        connection = await aiormq.connect(node.url)
        assert connection.server_properties["product"] == "RabbitMQ"
        await connection.close()
        with pytest.raises(ServiceUnavailable, match="in use by process"):
            await PrivateRabbitMQ(state_dir).start()
        started = set(psutil.Process().children(recursive=True)) - before
    assert {one.name() for one in started if not has_ended(one)} == set()
