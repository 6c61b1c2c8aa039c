"""One message that kills whoever reads it, among hundreds of good ones."""

from contextlib import closing
from pathlib import Path

import orjson
import pika
import psycopg
import pytest

from bus.topology import REPORTS
from tests.system.processes import Stack, running

pytestmark = [pytest.mark.system, pytest.mark.real, pytest.mark.timeout(240)]

GOOD = 500
POISON = "poison-250"


def hello(name: str) -> tuple[str, bytes]:
    """Return the id and the body in which an agent introduces itself."""
    envelope = {
        "specversion": "1.0",
        "id": f"hello-{name}",
        "source": f"/agents/{name}",
        "type": "agent.registered",
        "time": "2026-01-20T11:30:00Z",
        "data": {"agent_id": name, "agent_type": "NOOP", "instance": "1"},
    }
    return f"hello-{name}", orjson.dumps(envelope)


def say(stack: Stack, *names: str) -> None:
    with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for message_id, body in map(hello, names):
            channel.basic_publish(
                REPORTS,
                "agent.registered",
                body,
                pika.BasicProperties(
                    content_type="application/cloudevents+json",
                    message_id=message_id,
                    delivery_mode=2,
                ),
                mandatory=True,
            )


def letters(stack: Stack) -> list[tuple[str, str]]:
    with psycopg.connect(stack.dsn) as connection:
        found = connection.execute("select message_id, reason from dead_letters").fetchall()
    return [(str(message_id), str(reason)) for message_id, reason in found]


def test_exactly_the_message_that_kills_its_readers_is_a_dead_letter(
    tmp_path: Path, database: str, vhost_url: str
) -> None:
    lethal = {"TASKLOOM_CHAOS": "1", "TASKLOOM_FAIL": f"inbox.hear=kill~hello-{POISON}"}
    with running(tmp_path, database, vhost_url, core=("coordinator",), env=lethal) as stack:
        stack.until(lambda: "coordinator.leads" in stack.words("coordinator"), "it leads")
        names = [f"good-{number:03}" for number in range(GOOD)]
        say(stack, *names[: GOOD // 2], POISON, *names[GOOD // 2 :])
        stack.until(lambda: bool(letters(stack)), "it is buried", seconds=120)
        stack.until(lambda: stack.count("agent.registered") == GOOD, "the others are recorded")
        assert letters(stack) == [(f"hello-{POISON}", "kills-its-reader")]
        assert stack.deaths["coordinator"] == 5
        with psycopg.connect(stack.dsn) as connection:
            assert connection.execute("select count(*) from suspects").fetchone() == (0,)
