"""Processes are killed, queues are deleted, and nobody repairs anything by hand."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import orjson
import pika
import pytest

from bus.topology import topology
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stack")


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
def test_deleted_queues_are_made_and_filled_again(stack: Stack) -> None:
    plan_id = stack.submit(GRAPH)
    reach(stack, 150)
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as broker:
        channel = broker.channel()
        for queue in topology().queues:
            channel.queue_delete(queue.name)
    for name in ("coordinator", *AGENTS):
        stack.kill(name)
    stack.until_completed(plan_id)
    require(stack.dsn)
    verify_views(stack)
