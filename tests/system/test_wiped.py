"""What a broker may lose under agents that live on: nobody is started again, and work goes on."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlsplit

import pika
import pika.exceptions
import pytest

from bus.topology import work_queues
from infra.services.rabbitmq import PrivateRabbitMQ
from tests.support.brokers import call, start_node
from tests.support.ground import Ground
from tests.system.graphs import layered
from tests.system.processes import Stack, running

pytestmark = [pytest.mark.system, pytest.mark.node, pytest.mark.timeout(300)]

AGENTS = {f"noop_worker_{number}": "agents.workers.noop" for number in (1, 2)}
GRAPH = layered(120, width=30, seconds=0.3)


class Node:
    """A broker of our own, with a virtual host for a stack."""

    def __init__(self) -> None:
        self._ground = Ground()
        self._node: PrivateRabbitMQ = start_node(self._ground)
        self.url = f"{self._node.url}taskloom"
        self.make_vhost()

    def make_vhost(self) -> None:
        user = quote(urlsplit(self._node.url).username or "", safe="")
        every = b'{"configure": ".*", "write": ".*", "read": ".*"}'
        call(self._node.management_url, "PUT", "vhosts/taskloom", b"{}")
        call(self._node.management_url, "PUT", f"permissions/taskloom/{user}", every)

    def delete_vhost(self) -> None:
        call(self._node.management_url, "DELETE", "vhosts/taskloom")

    def lose_its_disk(self) -> None:
        self._ground.run(self._node.crash(wipe=True))
        self._ground.run(self._node.launch())

    def delete_work(self) -> None:
        """Delete every queue that the agents take work from."""
        with closing(pika.BlockingConnection(pika.URLParameters(self.url))) as broker:
            channel = broker.channel()
            for queue in work_queues("execution", "NOOP"):
                channel.queue_delete(queue.name)

    def has_consumers(self) -> bool:
        """Say whether each of these queues is there again, and somebody takes from it."""
        for queue in work_queues("execution", "NOOP"):
            with closing(pika.BlockingConnection(pika.URLParameters(self.url))) as broker:
                try:
                    found = broker.channel().queue_declare(queue.name, passive=True)
                except pika.exceptions.ChannelClosedByBroker:
                    return False
            if not found.method.consumer_count:
                return False
        return True

    def end(self) -> None:
        self._ground.close()


@pytest.fixture
def node() -> Iterator[Node]:
    node = Node()
    try:
        yield node
    finally:
        node.end()


@pytest.fixture
def stack(tmp_path: Path, database: str, node: Node) -> Iterator[Stack]:
    with running(tmp_path, database, node.url, agents=AGENTS) as stack:
        yield stack


def until_it_runs(stack: Stack) -> str:
    plan_id = stack.submit(GRAPH)
    stack.until(lambda: stack.count("task.completed") > 5, "it runs")
    return plan_id


def require_everything(stack: Stack, plan_id: str) -> None:
    stack.until_completed(plan_id, seconds=120)
    assert not stack.deaths, f"died by themselves: {stack.deaths}"
    again = stack.submit(layered(20, width=20))
    stack.until_completed(again, seconds=60)


@pytest.mark.proves("S-13b")
def test_work_goes_on_when_its_queues_are_deleted_again_and_again(stack: Stack, node: Node) -> None:
    # Each time after they are back: declaring a queue while it is deleted ten times a second hangs
    # RabbitMQ 3.10 itself, for everybody and until its restart (rabbitmq-server 16652).
    plan_id = until_it_runs(stack)
    for _ in range(5):
        node.delete_work()
        stack.until(node.has_consumers, "agents take work again")
    require_everything(stack, plan_id)


def test_work_goes_on_when_its_virtual_host_was_deleted(stack: Stack, node: Node) -> None:
    plan_id = until_it_runs(stack)
    node.delete_vhost()
    time.sleep(1.0)
    node.make_vhost()
    require_everything(stack, plan_id)


def test_work_goes_on_when_the_broker_has_lost_its_disk(stack: Stack, node: Node) -> None:
    plan_id = until_it_runs(stack)
    node.lose_its_disk()
    node.make_vhost()
    require_everything(stack, plan_id)
