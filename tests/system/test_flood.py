"""One agent that says ten thousand things at once, and another one that says one."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
import pika
import psycopg
import pytest

from bus.topology import REPORTS
from tests.support.telling import Tell
from tests.system.processes import Stack, running
from tests.system.test_poison import letters

pytestmark = [pytest.mark.system, pytest.mark.real, pytest.mark.timeout(240)]

MANY = 10_000
SHARE = 500


def hello(agent_id: str, number: int) -> bytes:
    """Return what an agent says of itself, something else each time."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": f"{agent_id}-{number}",
            "source": f"/agents/{agent_id}",
            "type": "agent.registered",
            "time": "2026-01-20T11:30:00Z",
            "data": {
                "agent_id": agent_id,
                "agent_type": "NOOP",
                "instance": "1",
                "metadata": {"number": number},
            },
        }
    )


def say(stack: Stack, agent_id: str, times: int) -> None:
    with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as connection:
        channel = connection.channel()
        for number in range(times):
            properties = pika.BasicProperties(
                content_type="application/cloudevents+json",
                message_id=f"{agent_id}-{number}",
                delivery_mode=2,
            )
            channel.basic_publish(REPORTS, "agent.registered", hello(agent_id, number), properties)


@pytest.fixture
def stack(tmp_path: Path, database: str, vhost_url: str) -> Iterator[Stack]:
    share = {"TASKLOOM_AMQP__REPORT_RATE": str(SHARE), "TASKLOOM_AMQP__REPORT_BURST": str(SHARE)}
    with running(tmp_path, database, vhost_url, core=("coordinator",), env=share) as stack:
        stack.until(lambda: "coordinator.leads" in stack.words("coordinator"), "it leads")
        yield stack


def recorded_before(stack: Stack, agent_id: str) -> int:
    """Return how many registrations are recorded before the first of an agent."""
    with psycopg.connect(stack.dsn) as connection:
        (count,) = connection.execute(
            "select count(*) from events where topic = 'agent.registered' and notification_id <"
            " (select min(notification_id) from events where originator_id = %s)",
            [f"agent:{agent_id}"],
        ).fetchone() or (0,)
    return int(count)


def test_nobody_waits_for_one_that_floods_and_nothing_of_the_flood_is_lost(
    stack: Stack, tell: Tell
) -> None:
    stack.stop("coordinator", seconds=30)
    say(stack, "flood", MANY)
    say(stack, "bob", 1)
    stack.start("coordinator", "serve", "coordinator")
    stack.until(lambda: bool(stack.count("agent.registered", stream="agent:bob")), "bob is heard")
    first = recorded_before(stack, "bob")
    assert first < 0.9 * MANY  # all of it, where nobody has a share
    stack.until(
        lambda: stack.count("agent.registered", stream="agent:flood") == MANY,
        "the flood is recorded to its end",
    )
    tell(f"of {MANY} reports of a flood, {first} were recorded before one that came after them")
    assert "agent.says_too_much" in stack.words("coordinator", lines=2_000)
    assert letters(stack) == []
    assert not stack.deaths
