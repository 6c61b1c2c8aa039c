"""The broker of a test run, and virtual hosts on it."""

import os
import urllib.error
import urllib.request
import uuid
import warnings
from base64 import b64encode
from collections.abc import Generator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import pika
import pika.exceptions

from infra.services.rabbitmq import PrivateRabbitMQ, rabbitmq_program
from tests.support.debian import install, may_install
from tests.support.ground import (
    Choice,
    Ground,
    docker_answers,
    listens,
    without_password,
)

RABBITMQ_IMAGE = "rabbitmq:4.1-management-alpine"


@dataclass(frozen=True, slots=True)
class RabbitMQ:
    """A broker that answers, and its management API if it lets us in."""

    url: str
    management_url: str | None


def choose_rabbitmq() -> Choice[RabbitMQ]:
    """Find the first broker of the order above."""
    if url := os.environ.get("TASKLOOM_TEST_AMQP_URL"):
        return _known_rabbitmq(url, f"{without_password(url)} (TASKLOOM_TEST_AMQP_URL)")
    if _lets_in(url := "amqp://guest:guest@127.0.0.1:5672/"):
        return _known_rabbitmq(url, "listening on 127.0.0.1:5672")
    if docker_answers():
        return Choice(f"container {RABBITMQ_IMAGE}", _rabbitmq_container)
    if program := rabbitmq_program():
        return Choice(f"private node, {program}", _rabbitmq_node)
    if can_start_node():
        return Choice("private node, installed with apt-get", _rabbitmq_node)
    return Choice("embedded broker (not RabbitMQ)", _embedded_broker, is_real=False)


def _known_rabbitmq(url: str, description: str) -> Choice[RabbitMQ]:
    place = urlsplit(url)
    login = f"{place.username or 'guest'}:{place.password or 'guest'}"
    guess = f"http://{login}@{place.hostname or '127.0.0.1'}:15672/"
    management = os.environ.get("TASKLOOM_TEST_MANAGEMENT_URL", guess)
    if not _management_answers(management):
        description += ", without management API: all tests share one virtual host"
        return Choice(description, lambda _: RabbitMQ(url, None))
    return Choice(description, lambda _: RabbitMQ(url, management))


def _lets_in(url: str) -> bool:
    if not listens("127.0.0.1", 5672):
        return False
    try:
        pika.BlockingConnection(pika.URLParameters(url)).close()
    except (pika.exceptions.AMQPError, OSError):
        return False
    return True


def _rabbitmq_container(ground: Ground) -> RabbitMQ:
    with warnings.catch_warnings(action="ignore"):  # the library's own deprecations
        from testcontainers.community.rabbitmq import RabbitMqContainer

        container = RabbitMqContainer(RABBITMQ_IMAGE)
        container.with_exposed_ports(15672)
        ground.at_end(container.stop)
        container.start()
        host = container.get_container_host_ip()
        amqp, management = (container.get_exposed_port(port) for port in (5672, 15672))
    return RabbitMQ(
        f"amqp://guest:guest@{host}:{amqp}/", f"http://guest:guest@{host}:{management}/"
    )


def _rabbitmq_node(ground: Ground) -> RabbitMQ:
    node = start_node(ground)
    return RabbitMQ(node.url, node.management_url)


def can_start_node() -> bool:
    """Say whether RabbitMQ's programs are on this machine, or may be put there."""
    return rabbitmq_program() is not None or may_install()


def start_node(ground: Ground) -> PrivateRabbitMQ:
    """Start a RabbitMQ that nobody else uses, after installing it if it has to be."""
    if rabbitmq_program() is None:
        install("rabbitmq-server")
    node = PrivateRabbitMQ(ground.folder())
    ground.run(node.start())
    ground.at_end(lambda: ground.run(node.stop()))
    return node


def _embedded_broker(ground: Ground) -> RabbitMQ:
    shared = ExitStack()
    url = shared.enter_context(embedded_broker(ground))
    ground.at_end(shared.close)
    return RabbitMQ(url, None)


@contextmanager
def embedded_broker(ground: Ground) -> Generator[str]:
    """Start an embedded broker and stop it afterwards."""
    # Imported here: a broker that is broken must not stop the tests that do without it.
    from bus.embedded import EmbeddedBroker

    async def open_broker() -> tuple[EmbeddedBroker, AsyncExitStack]:
        stack = AsyncExitStack()
        return await stack.enter_async_context(EmbeddedBroker()), stack

    broker, stack = ground.run(open_broker())
    try:
        yield broker.url
    finally:
        ground.run(stack.aclose())


@contextmanager
def fresh_vhost(rabbitmq: RabbitMQ) -> Generator[str]:
    """Make a virtual host of its own, and delete it with everything in it afterwards.

    A RabbitMQ whose management API we cannot use gives its one virtual host to all.
    """
    if rabbitmq.management_url is None:
        yield rabbitmq.url
        return
    name = f"taskloom-test-{uuid.uuid4().hex[:12]}"
    user = quote(unquote(urlsplit(rabbitmq.url).username or "guest"), safe="")
    call(rabbitmq.management_url, "PUT", f"vhosts/{name}", b"{}")
    try:
        every = b'{"configure": ".*", "write": ".*", "read": ".*"}'
        call(rabbitmq.management_url, "PUT", f"permissions/{name}/{user}", every)
        yield urlunsplit(urlsplit(rabbitmq.url)._replace(path=f"/{name}"))
    finally:
        call(rabbitmq.management_url, "DELETE", f"vhosts/{name}")


def call(management_url: str, method: str, path: str, body: bytes | None = None) -> bytes:
    """Call the management API, and return its answer.

    Raises:
        urllib.error.URLError: It refuses, or does not answer.
    """
    place = urlsplit(management_url)
    login = f"{unquote(place.username or '')}:{unquote(place.password or '')}"
    question = urllib.request.Request(
        f"{place.scheme}://{place.hostname}:{place.port}/api/{path}",
        data=body,
        method=method,
        headers={
            "Authorization": f"Basic {b64encode(login.encode()).decode()}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(question, timeout=60) as answer:
        text: bytes = answer.read()
        return text


def _management_answers(management_url: str) -> bool:
    try:
        call(management_url, "GET", "whoami")
    except (urllib.error.URLError, OSError):
        return False
    return True
