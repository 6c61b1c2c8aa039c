"""The broker loses everything, and what is owed is back within a minute.

``TASKLOOM_TEST_TASKS=10000`` tries it with more.
"""

import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pika
import pytest
from pika.exceptions import AMQPError

from bus.topology import WORK, topology, work_key
from tests.support.brokers import RabbitMQ, call
from tests.system.checker import require
from tests.system.graphs import layered
from tests.system.processes import Stack, running

pytestmark = [pytest.mark.system, pytest.mark.node, pytest.mark.timeout(400)]

TASKS = int(os.environ.get("TASKLOOM_TEST_TASKS", "600"))
QUEUE = f"{WORK}.{work_key('execution', 'NOOP', 'normal')}"
ENOUGH = 60.0
"""Seconds within which all of it has to be back."""


def waiting(stack: Stack) -> int:
    try:
        with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as connection:
            declared = connection.channel().queue_declare(QUEUE, passive=True)
            return int(declared.method.message_count)
    except (AMQPError, OSError):
        return 0


def purge(stack: Stack, broker: RabbitMQ) -> None:
    with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as connection:
        connection.channel().queue_purge(QUEUE)


def delete_queues(stack: Stack, broker: RabbitMQ) -> None:
    with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as connection:
        channel = connection.channel()
        for queue in topology().queues:
            channel.queue_delete(queue.name)


def delete_vhost(stack: Stack, broker: RabbitMQ) -> None:
    assert broker.management_url is not None
    place = urlsplit(stack.amqp_url)
    name, user = place.path.lstrip("/"), quote(unquote(place.username or "guest"), safe="")
    call(broker.management_url, "DELETE", f"vhosts/{name}")
    call(broker.management_url, "PUT", f"vhosts/{name}", b"{}")
    every = b'{"configure": ".*", "write": ".*", "read": ".*"}'
    call(broker.management_url, "PUT", f"permissions/{name}/{user}", every)


@pytest.mark.parametrize("wipe", [purge, delete_queues, delete_vhost])
def test_all_that_is_owed_is_back_within_a_minute(
    tmp_path: Path,
    database: str,
    own_rabbitmq: RabbitMQ,
    own_vhost_url: str,
    wipe: Callable[[Stack, RabbitMQ], None],
) -> None:
    core = ("coordinator", "api", "projector")
    with running(tmp_path, database, own_vhost_url, core=core) as stack:
        plan_id = stack.submit(
            layered(TASKS, width=TASKS), options={"parallelization": "aggressive"}
        )
        stack.until(lambda: waiting(stack) == TASKS, "all work waits", seconds=120)
        time.sleep(1)
        wipe(stack, own_rabbitmq)
        began = time.monotonic()
        stack.until(lambda: waiting(stack) >= TASKS, "all of it is back", seconds=ENOUGH)
        print(f"{TASKS} tasks are back after {time.monotonic() - began:.1f} s")
        time.sleep(5)
        # A page whose confirmation got lost with the connection is published twice.
        assert waiting(stack) < 2 * TASKS, "it is sent again and again"
        stack.start("noop_worker_001", "agent", "agents.workers.noop", "--id", "noop_worker_001")
        stack.until_completed(plan_id, seconds=240)
        found = require(stack.dsn)
        assert (found.losses, stack.deaths.total()) == (0, 0)
