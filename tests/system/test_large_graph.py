"""Graphs as large as they may be. ``TASKLOOM_TEST_TASKS=10000`` executes one of so many tasks."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from domain.graph import check
from domain.tasks import Task
from tests.support.telling import Tell
from tests.system.checker import require
from tests.system.graphs import layered
from tests.system.processes import Stack, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

TASKS = int(os.environ.get("TASKLOOM_TEST_TASKS", "2000"))


@pytest.fixture
def stack(tmp_path: Path, database: str, vhost_url: str) -> Iterator[Stack]:
    agents = {f"noop_worker_{number:03}": "agents.workers.noop" for number in (1, 2)}
    with running(tmp_path, database, vhost_url, agents=agents) as stack:
        yield stack


def test_ten_thousand_tasks_are_checked_at_once(tell: Tell) -> None:
    tasks = TypeAdapter(list[Task]).validate_python(layered(10_000, width=100))
    began = time.perf_counter()
    check(tasks)
    took = time.perf_counter() - began
    tell(f"a graph of {len(tasks)} tasks is checked in {took:.3f} s")
    assert took < 5  # many times what it takes


def test_a_large_graph_is_carried_out(stack: Stack, tell: Tell) -> None:
    began = time.perf_counter()
    plan_id = stack.submit(layered(TASKS, width=100))
    stack.until_completed(plan_id, seconds=500)
    took = time.perf_counter() - began
    found = require(stack.dsn)
    (run,) = found.runs.values()
    assert len(run.tasks) == TASKS
    assert not stack.deaths
    tell(f"{TASKS} tasks, {found.events} events in {took:.1f} s: {TASKS / took:.0f} tasks/s")
