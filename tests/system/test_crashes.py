"""Processes are killed, queues are deleted, and nobody repairs anything by hand."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import orjson
import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from bus.topology import topology, work_queues
from tests.system.checker import require
from tests.system.graphs import layered, with_services
from tests.system.processes import Stack, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

AGENTS = {
    "noop_worker_001": "agents.workers.noop",
    "noop_worker_002": "agents.workers.noop",
    "meta_worker_001": "agents.workers.meta",
    "cad_worker_001": "agents.workers.cad",
    "sim_worker_001": "agents.workers.sim",
}
GRAPH = with_services(layered(440, width=22, seconds=0.03), 20)
"""500 tasks, twenty layers deep."""

WIDE = with_services(layered(440, width=110, seconds=0.4), 20)
"""As many, of which more are ready than the agents can have in hand for a second and more."""

WORK_QUEUES = work_queues("execution", "NOOP")


@pytest.fixture
def stack(tmp_path: Path, database: str, vhost_url: str) -> Iterator[Stack]:
    with running(tmp_path, database, vhost_url, agents=AGENTS) as stack:
        yield stack


def reach(stack: Stack, completed: int) -> None:
    stack.until(
        lambda: stack.count("task.completed") >= completed,
        f"{completed} tasks are completed; {stack.count('task.completed')} are",
    )


def verify_views(stack: Stack) -> None:
    verdicts = orjson.loads(stack.taskloom("projection", "verify", "--json"))
    assert [one for one in verdicts if one["different"]] == []
    assert {one["view"] for one in verdicts} >= {"plans", "executions", "tasks", "timeline"}


@pytest.mark.real
@pytest.mark.parametrize("victim", ["api", "coordinator", "projector", "noop_worker_001"])
def test_killed_in_the_middle_it_goes_on_after_its_restart(stack: Stack, victim: str) -> None:
    plan_id = stack.submit(GRAPH)
    for part in (100, 220, 340):
        reach(stack, part)
        stack.kill(victim)
    stack.until_completed(plan_id)
    found = require(stack.dsn)
    assert sum(len(run.tasks) for run in found.runs.values()) == 500
    assert not stack.deaths
    stack.until(stack.answers, "the API answers")
    assert stack.ask(f"/plans/{plan_id}")["status"] == "completed"
    verify_views(stack)


@pytest.mark.real
def test_killed_all_at_once_they_go_on(stack: Stack) -> None:
    plan_id = stack.submit(GRAPH)
    reach(stack, 200)
    for name in ("coordinator", "projector", "api", *AGENTS):
        stack.kill(name)
    stack.until_completed(plan_id)
    require(stack.dsn)
    verify_views(stack)


@pytest.mark.node
@pytest.mark.parametrize("restarted", [("coordinator", *AGENTS), ()], ids=["restarted", "alone"])
def test_deleted_queues_are_made_and_filled_again(
    tmp_path: Path, database: str, own_vhost_url: str, restarted: Sequence[str]
) -> None:
    with running(tmp_path, database, own_vhost_url, agents=AGENTS) as stack:
        delete_queues_in_the_middle(stack, restarted)


def delete_queues_in_the_middle(stack: Stack, restarted: Sequence[str]) -> None:
    plan_id = stack.submit(WIDE)
    reach(stack, 120)
    with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as broker:
        channel = broker.channel()
        stack.until(lambda: waiting_work(channel) >= 30, "work waits for agents")
        lost_work = delete_queues(channel)
    assert lost_work, "what waited was taken before its queue was deleted"
    for name in restarted:
        stack.kill(name)
    stack.until_completed(plan_id)
    require(stack.dsn)
    assert not stack.deaths
    assert "leases.owed" in stack.words("coordinator", lines=1_000_000)
    verify_views(stack)


def waiting_work(channel: BlockingChannel) -> int:
    """Return how much work no agent has been given yet."""
    found = [channel.queue_declare(queue.name, passive=True) for queue in WORK_QUEUES]
    return sum(int(each.method.message_count) for each in found)


def delete_queues(channel: BlockingChannel) -> int:
    """Delete every queue, and return how much work was lost with them."""
    # First those that agents are emptying: all of them take a second and more.
    lost = [channel.queue_delete(queue.name) for queue in WORK_QUEUES]
    for queue in topology().queues:
        channel.queue_delete(queue.name)
    return sum(int(each.method.message_count) for each in lost)


def test_an_agent_asked_to_stop_finishes_what_it_has(stack: Stack) -> None:
    plan_id = stack.submit(GRAPH)
    reach(stack, 150)
    began = time.monotonic()
    assert stack.stop("noop_worker_002", seconds=10) == 0
    assert time.monotonic() - began < 10
    assert stack.count("agent.deregistered", stream="agent:noop_worker_002") == 1
    left = stack.count("plan.completed")
    stack.until_completed(plan_id)
    assert not left, "the run was over before the agent stopped"
    found = require(stack.dsn)
    assert found.losses == 0
