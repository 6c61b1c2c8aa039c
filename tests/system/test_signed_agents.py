"""An agent that is handed its key over HTTP, and says what it has to say over AMQP."""

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pika
import psycopg
import pytest

from bus.topology import REPORTS, SIGNALS
from tests.system.processes import Stack, running
from tests.system.test_poison import letters
from tests.system.test_strangers import block

pytestmark = [pytest.mark.system, pytest.mark.real, pytest.mark.timeout(120)]

SECRET = "a secret of more than thirty-two characters"
STRICT = {"TASKLOOM_AMQP__SIGNATURES": "require", "TASKLOOM_AMQP__SIGNING_SECRET": SECRET}
HELLO = {"agent_id": "cad-1", "agent_type": "CAD", "instance": "start-1"}
Signed = Callable[[Mapping[str, Any], str, str, Mapping[str, Any], bytes], Mapping[str, str]]


@pytest.fixture
def stack(tmp_path: Path, database: str, vhost_url: str) -> Iterator[Stack]:
    with running(tmp_path, database, vhost_url, env=STRICT) as stack:
        stack.until(lambda: "coordinator.leads" in stack.words("coordinator"), "it leads")
        yield stack


def signed() -> Signed:
    """Return the function that the page on the bus shows."""
    made: dict[str, Any] = {}
    exec(block("python", "# signing.py"), made)  # it is our own page
    function: Signed = made["signed"]
    return function


def register(stack: Stack) -> Mapping[str, Any]:
    offer = {"protocol": {"signatures": ["hmac-sha256"]}}
    signing: Mapping[str, Any] = stack.ask("/agents/register", HELLO | offer)["signing"]
    return signing


def say(stack: Stack, signing: Mapping[str, Any] | None, **changes: object) -> str:
    """Say hello once more, signed or not, and return the id of the message."""
    message_id, kind, data = str(uuid4()), "agent.registered", HELLO | changes
    body = orjson.dumps(
        {
            "specversion": "1.0",
            "id": message_id,
            "source": "/agents/cad-1",
            "type": kind,
            "time": "2026-01-20T11:30:00Z",
            "data": data,
        }
    )
    headers = signed()(signing, message_id, kind, data, body) if signing else {}
    properties = pika.BasicProperties(
        content_type="application/cloudevents+json", message_id=message_id, headers=dict(headers)
    )
    with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish(REPORTS, kind, body, properties, mandatory=True)
    return message_id


def test_an_agent_signs_with_the_key_that_its_registration_has_answered(stack: Stack) -> None:
    def is_recorded(times: int) -> bool:
        return stack.count("agent.registered", stream="agent:cad-1") == times

    def refused(message_id: str) -> str:
        stack.until(lambda: message_id in dict(letters(stack)), "it is a dead letter")
        return dict(letters(stack))[message_id]

    first = register(stack)
    say(stack, first, capabilities=["turning"])
    stack.until(lambda: is_recorded(2), "what is signed is recorded")
    assert refused(say(stack, None, capabilities=["milling"])) == "missing-signature"

    second = register(stack)
    recorded = stack.count("agent.registered", stream="agent:cad-1")
    say(stack, first, capabilities=["welding"])  # it was on its way
    stack.until(lambda: is_recorded(recorded + 1), "the key before counts for a while")
    with psycopg.connect(stack.dsn) as connection:  # a minute later
        connection.execute("update agent_keys set revoked_at = revoked_at - interval '1 minute'")

    def is_refused() -> bool:
        return refused_or_recorded(stack, say(stack, first)) == "replaced-key"

    stack.until(is_refused, "within two seconds the key before counts no more", seconds=10)
    recorded = stack.count("agent.registered", stream="agent:cad-1")
    say(stack, second, capabilities=["grinding"])
    stack.until(lambda: is_recorded(recorded + 1), "the key that it has counts")

    stack.taskloom("agents", "deregister", "cad-1", TASKLOOM_TOKEN=stack.token)

    def is_void() -> bool:
        return refused_or_recorded(stack, say(stack, second)) == "bad-signature"

    stack.until(is_void, "no key of it counts", seconds=10)
    assert stack.count("agent.registered", stream="agent:cad-1") == recorded + 1
    assert not stack.deaths


@pytest.mark.proves("S-12e")
def test_who_does_not_sign_keeps_nothing_for_an_agent_that_is_silent(stack: Stack) -> None:
    key = stack.taskloom("agent-key", "issue", "noop_worker_001").split()[-1]
    stack.start(
        "noop_worker_001",
        *("agent", "agents.workers.noop", "--id", "noop_worker_001"),
        TASKLOOM_AGENTS__KEY=key,
    )
    task = {"name": "wait", "agent": "NOOP", "action": "wait", "params": {"seconds": 6}}
    stack.until_completed(stack.submit([{"id": "signed", **task}]))
    assert not stack.count("task.lost"), "its own heartbeats keep it for three leases"

    stack.submit([{"id": "silent", **task}])
    stack.until(lambda: stack.count("task.started") == 2, "it has begun")
    with following(stack, "agent.heartbeat") as beats:
        stolen = next(beat for beat in beats if b'"silent"' in beat)
        stack.signal("noop_worker_001", signal.SIGSTOP)
        try:
            stack.until(lambda: say_again(stack, stolen) and stack.count("task.lost") == 1, "lost")
        finally:
            stack.signal("noop_worker_001", signal.SIGCONT)


@contextmanager
def following(stack: Stack, key: str) -> Iterator[Iterator[bytes]]:
    """Give what is said under a key from now on."""
    with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, SIGNALS, key)
        said = channel.consume(queue, auto_ack=True, inactivity_timeout=20)
        yield (body for _, _, body in said if body is not None)


def say_again(stack: Stack, beat: bytes) -> bool:
    """Say what an agent has said, without its signature."""
    with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as connection:
        connection.channel().basic_publish(SIGNALS, "agent.heartbeat", beat)
    return True


def refused_or_recorded(stack: Stack, message_id: str) -> str:
    """Return why a message has become a dead letter; nothing where it has not, in half a second."""
    deadline = 10
    for _ in range(deadline):
        if reason := dict(letters(stack)).get(message_id):
            return reason
        with psycopg.connect(stack.dsn) as connection:
            connection.execute("select pg_sleep(0.05)")
    return ""
