"""One of the agents means harm, within the rights of an agent: the work is done (S-13).

It connects beside two honest agents of its type, whose queues it shares, and goes on until the
plan is completed.
"""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pika
import pika.exceptions
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from bus.topology import REPORTS, work_queues
from tests.system.checker import require
from tests.system.graphs import layered
from tests.system.processes import Stack, running

pytestmark = [pytest.mark.system, pytest.mark.real, pytest.mark.timeout(300)]

AGENTS = {f"noop_worker_{number}": "agents.workers.noop" for number in (1, 2)}
QUEUES = [queue.name for queue in work_queues("execution", "NOOP")]


@pytest.fixture
def stack(tmp_path: Path, database: str, vhost_url: str) -> Iterator[Stack]:
    with running(tmp_path, database, vhost_url, agents=AGENTS) as stack:
        yield stack


def empties_the_queues(channel: BlockingChannel) -> int:
    return sum(channel.queue_purge(queue).method.message_count for queue in QUEUES)


def acknowledges_unread(channel: BlockingChannel) -> int:
    taken = 0
    for queue in QUEUES:
        while channel.basic_get(queue, auto_ack=True)[0] is not None:
            taken += 1
    return taken


def never_acknowledges(channel: BlockingChannel) -> int:
    taken = 0
    for queue in QUEUES:
        while channel.basic_get(queue)[0] is not None:
            taken += 1
    return taken


def gives_back_at_once(channel: BlockingChannel) -> int:
    taken = 0
    for queue in QUEUES:
        for _ in range(20):
            method, _, _ = channel.basic_get(queue)
            if method is None:
                break
            channel.basic_nack(method.delivery_tag, requeue=True)
            taken += 1
    return taken


def floods_the_reports(channel: BlockingChannel) -> int:
    for number in range(200):
        told = pika.BasicProperties(
            content_type="application/cloudevents+json", message_id=f"flood-{number}"
        )
        channel.basic_publish(REPORTS, "task.completed", b'{"specversion":"1.0"', told)
    return 200


Deed = Callable[[BlockingChannel], int]


@contextmanager
def doing(deed: Deed, stack: Stack, did: list[int]) -> Generator[None]:
    """Let somebody do a deed over and over while the context lasts; what it holds it keeps."""
    stop = threading.Event()

    def work() -> None:
        with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as connection:
            channel = connection.channel()
            while not stop.is_set():
                try:
                    did.append(deed(channel))
                except pika.exceptions.ChannelClosedByBroker:  # a queue is not there yet
                    channel = connection.channel()
                connection.sleep(0.02)

    villain = threading.Thread(target=work)
    villain.start()
    try:
        yield
    finally:
        stop.set()
        villain.join(30)


DEEDS: tuple[Deed, ...] = (
    empties_the_queues,
    acknowledges_unread,
    never_acknowledges,
    gives_back_at_once,
    floods_the_reports,
)


def require_done_in_spite_of(deed: Deed, stack: Stack) -> None:
    did: list[int] = []
    with doing(deed, stack, did):
        plan_id = stack.submit(layered(160, width=80, seconds=0.2))
        stack.until(lambda: sum(did) >= 5, f"it {deed.__name__}", seconds=60)
        if deed is never_acknowledges:  # what it holds comes back when it leaves
            stack.until_completed(plan_id)
    stack.until_completed(plan_id)


@pytest.mark.proves("S-13a", "S-13d")
def test_the_work_is_done_whatever_one_of_the_agents_does(stack: Stack) -> None:
    for deed in DEEDS:
        require_done_in_spite_of(deed, stack)
    assert not stack.deaths
    require(stack.dsn)
