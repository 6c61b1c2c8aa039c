"""A plan that names more types of agents than there can be queues for."""

import re
from contextlib import closing
from pathlib import Path

import pika
import pika.exceptions
import pytest

from bus.topology import work_queues
from tests.system.processes import ROOT, Stack, running

pytestmark = [pytest.mark.system, pytest.mark.real, pytest.mark.timeout(180)]

TYPES = [f"TYPE_{number:02}" for number in range(60)]
STRANGERS = 4
"""Of so many types the coordinator makes queues before an agent has."""

FEW = {"TASKLOOM_AMQP__STRANGERS": str(STRANGERS)}
NOOP = {"id": "one", "name": "one", "agent": "NOOP", "action": "noop"}


@pytest.mark.proves("B-09")
def test_more_types_than_there_are_queues_for_wait_for_their_agents_and_for_nobody_else(
    tmp_path: Path, database: str, vhost_url: str
) -> None:
    agents = {"noop_worker_001": "agents.workers.noop"}
    with running(tmp_path, database, vhost_url, agents=agents, env=FEW) as stack:
        many = stack.submit([named(kind) for kind in TYPES])
        stack.until(lambda: stack.count("task.dispatched") == len(TYPES), "all are dispatched")
        stack.until_completed(stack.submit([NOOP]), seconds=30)
        stack.until(lambda: with_queues(stack) == STRANGERS, "some have queues")
        log = tmp_path / "coordinator.log"
        stack.until(lambda: "relay.no_queues" in log.read_text(), "others have none")

        lacking = next(kind for kind in reversed(TYPES) if not has_queues(stack, kind))
        stack.start("late", "agent", str(agent_of(lacking, tmp_path)), "--id", "late")
        stack.until(lambda: stack.count("task.completed", stream="exec_%") == 2, "its agent has it")
        assert with_queues(stack) == STRANGERS + 1
        assert not stack.count("plan.failed", stream=many)
        assert not stack.deaths


def named(kind: str) -> dict[str, object]:
    return {
        "id": kind.lower(),
        "name": kind,
        "agent": kind,
        "action": "greet",
        "params": {"name": "Ada"},
    }


def agent_of(kind: str, folder: Path) -> Path:
    """Return the agent of the page on agents, as one of another type."""
    text = (ROOT / "agents" / "README.md").read_text()
    found = re.search(r"```python\n(# my_agent\.py\n.*?)```", text, flags=re.DOTALL)
    assert found is not None
    file = folder / "my_agent.py"
    file.write_text(found[1].replace("GREETER", kind))
    return file


def with_queues(stack: Stack) -> int:
    return sum(has_queues(stack, kind) for kind in TYPES)


def has_queues(stack: Stack, kind: str) -> bool:
    with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as broker:
        try:
            for queue in work_queues("execution", kind):
                broker.channel().queue_declare(queue.name, passive=True)
        except pika.exceptions.ChannelClosedByBroker:
            return False
        return True
