"""A type whose agents fail at everything is left alone for a while, and comes back by itself."""

import re
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pika
import pytest

from bus.breakers import DETOUR
from bus.topology import RETRY
from tests.system.checker import require
from tests.system.processes import Stack, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

FLAKY = '''
from pathlib import Path

from agents.agent import Agent, TryAgain, Work
from domain.values import JsonObject


async def work(work: Work) -> JsonObject:
    """Work, while the file says that all is well."""
    if not Path(__file__).with_name("well").exists():
        raise TryAgain("the licence server is away")
    return {}


AGENT = Agent(type="FLAKY", actions={"work": work})
'''
QUICK = {"TASKLOOM_BREAKERS__LEAST_FAILURES": "5", "TASKLOOM_BREAKERS__COOL_DOWN": "20"}


def tasks(count: int) -> list[Mapping[str, Any]]:
    return [{"id": f"t{n}", "name": f"Task {n}", "agent": "FLAKY"} for n in range(count)]


def state(stack: Stack) -> str:
    breakers = stack.ask("/breakers")["breakers"]
    return str(breakers[0]["state"]) if breakers else "none"


def waiting(stack: Stack) -> int:
    with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as connection:
        declared = connection.channel().queue_declare(f"{RETRY}.{DETOUR}s", passive=True)
        return int(declared.method.message_count)


@pytest.mark.real
def test_work_for_agents_that_fail_at_everything_waits_until_they_are_well(
    tmp_path: Path, durable_database: str, vhost_url: str
) -> None:
    file = tmp_path / "flaky.py"
    file.write_text(FLAKY)
    agents = {"flaky_1": str(file)}
    with running(tmp_path, durable_database, vhost_url, agents=agents, env=QUICK) as stack:
        first = stack.submit(tasks(6))
        stack.until(lambda: state(stack) == "open", "the breaker is open")
        (degraded,) = stack.ask("/status")["degraded"]
        # What an agent says of its failure may tell of somebody: it is in the record alone.
        assert re.search(r"the last: t\d of exec_\S+, transient$", degraded["why"])
        assert "FLAKY (execution): new work is held back" in stack.taskloom("doctor")
        stack.until(
            lambda: stack.ask("/agents/flaky_1")["health"]["status"] == "unhealthy",
            "the agent is unhealthy as well",
        )
        assert "attempts failed" in stack.ask("/agents/flaky_1")["health"]["reason"]
        stack.kill("coordinator")
        second = stack.submit(tasks(4))
        stack.until(lambda: waiting(stack) >= 4, "new work waits, after a restart as well")
        assert stack.count("task.started", stream=f"exec_{second.removeprefix('plan_')}%") == 0
        (tmp_path / "well").touch()
        stack.until_completed(first)
        stack.until_completed(second)
        stack.until(lambda: state(stack) == "closed", "the breaker is closed")
        assert stack.count("breaker.closed") == 1
        assert stack.count("breaker.opened") == stack.count("breaker.half_opened")
        assert stack.ask("/status")["degraded"] == []
        require(durable_database)
