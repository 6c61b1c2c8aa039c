"""What RabbitMQ keeps of messages that are gone, and how it loses it: as infra/rabbitmq says."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pika
import pytest

from infra.services.rabbitmq import PrivateRabbitMQ
from tests.support.brokers import start_node
from tests.support.ground import Ground

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]

CANARY = b"a canary that sings"


@pytest.fixture
def node() -> Iterator[tuple[PrivateRabbitMQ, Ground]]:
    ground = Ground()
    try:
        yield start_node(ground), ground
    finally:
        ground.close()


def files_with(folder: Path, word: bytes) -> list[str]:
    found: list[str] = []
    for place, _, names in os.walk(folder):
        for file in (Path(place) / name for name in names):
            try:
                if word in file.read_bytes():
                    found.append(file.name)
            except OSError:  # it is a socket, or gone meanwhile
                continue
    return found


def test_a_message_that_is_gone_is_in_no_file_after_roll_over_and_deletion(
    node: tuple[PrivateRabbitMQ, Ground],
) -> None:
    broker, ground = node
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    channel = connection.channel()
    channel.queue_declare("work", durable=True, arguments={"x-queue-type": "quorum"})
    for _ in range(100):
        channel.basic_publish("", "work", CANARY)
    for method, _, _ in channel.consume("work", inactivity_timeout=5):
        if method is None:
            break
        channel.basic_ack(method.delivery_tag)
    assert files_with(ground.folder(), CANARY), "an acknowledged message is still in a file"

    ground.run(broker.control("eval", "ra_log_wal:force_roll_over(ra_log_wal)."))
    channel.queue_delete("work")
    deadline = time.monotonic() + 60
    while left := files_with(ground.folder(), CANARY):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    connection.close()
