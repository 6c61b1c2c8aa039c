"""A broker closes channels that hold deliveries for too long; long tasks never meet that."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pika
import pytest

from infra.services.rabbitmq import PrivateRabbitMQ
from tests.support.brokers import start_node
from tests.support.ground import Ground
from tests.system.checker import require
from tests.system.processes import Stack, running

pytestmark = [pytest.mark.system, pytest.mark.node, pytest.mark.timeout(480)]

ACK_TIMEOUT_S, TASK_S = 2, 12


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[PrivateRabbitMQ]:
    """A node that closes a channel whose delivery is not acknowledged within two seconds."""
    ground = Ground()
    try:
        node = start_node(ground)
        for name, milliseconds in (
            ("consumer_timeout", ACK_TIMEOUT_S * 1000),
            ("channel_tick_interval", 500),
        ):
            setting = f"application:set_env(rabbit, {name}, {milliseconds})."
            ground.run(node.control("eval", setting))
        yield node
    finally:
        ground.close()


@pytest.fixture
def stack(tmp_path: Path, database: str, impatient: PrivateRabbitMQ) -> Iterator[Stack]:
    agents = {"noop_worker_001": "agents.workers.noop"}
    with running(tmp_path, database, impatient.url, agents=agents) as stack:
        yield stack


def test_a_task_may_take_longer_than_a_broker_waits_for_an_acknowledgement(stack: Stack) -> None:
    plan_id = stack.submit(
        [
            {
                "id": f"long-{number}",
                "name": "Takes its time",
                "agent": "NOOP",
                "action": "wait",
                "params": {"seconds": TASK_S},
            }
            for number in range(5)
        ]
    )
    stack.until_completed(plan_id)
    found = require(stack.dsn)
    assert [task.epoch for run in found.runs.values() for task in run.tasks.values()] == [1] * 5
    assert is_closed_who_keeps_a_delivery(stack.amqp_url), "this broker waits for ever"
    assert "PRECONDITION" not in stack.words("noop_worker_001", lines=1_000)


def is_closed_who_keeps_a_delivery(url: str) -> bool:
    with closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        channel = connection.channel()
        channel.queue_declare("kept", durable=True, arguments={"x-queue-type": "quorum"})
        channel.basic_publish("", "kept", b"?")
        channel.basic_consume("kept", lambda *_: None)
        deadline = time.monotonic() + 20 * ACK_TIMEOUT_S
        while channel.is_open and time.monotonic() < deadline:
            connection.sleep(0.2)
        return not channel.is_open
