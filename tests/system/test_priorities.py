"""Whose turn it is under load: the urgent overtakes, and nobody starves.

``TASKLOOM_TEST_TASKS=5000`` tries it with a longer backlog.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.system.graphs import layered
from tests.system.processes import Stack, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

AT_ONCE = 2
BACKLOG = int(os.environ.get("TASKLOOM_TEST_TASKS", "300"))


@pytest.fixture
def stack(tmp_path: Path, database: str, vhost_url: str) -> Iterator[Stack]:
    """A stack whose one agent has few places."""
    agents = {"noop_worker_001": "agents.workers.noop"}
    env = {"TASKLOOM_AGENTS__CONCURRENCY": str(AT_ONCE)}
    with running(tmp_path, database, vhost_url, agents=agents, env=env) as stack:
        yield stack


def side_by_side(tasks: int, seconds: float) -> Sequence[dict[str, Any]]:
    return layered(tasks, width=tasks, seconds=seconds)


def positions(stack: Stack, plan_id: str, type_: str) -> list[int]:
    """Return where the log holds the events of a type in a plan and its run."""
    with psycopg.connect(stack.dsn) as connection:
        rows = connection.execute(
            "select notification_id from events where topic = %s"
            " and originator_id in (%s, %s) order by notification_id",
            [type_, plan_id, f"exec_{plan_id.removeprefix('plan_')}-1"],
        ).fetchall()
    return [row[0] for row in rows]


def test_an_urgent_run_overtakes_a_backlog(stack: Stack) -> None:
    backlog = stack.submit(side_by_side(BACKLOG, 0.1), priority="normal")
    stack.until(lambda: len(positions(stack, backlog, "task.completed")) > 5, "it is under way")
    urgent = stack.submit(layered(6, width=2, seconds=0.1), priority="critical")
    stack.until_completed(urgent)
    first, last = (
        positions(stack, urgent, type_)[0] for type_ in ("task.dispatched", "plan.completed")
    )
    before = [p for p in positions(stack, backlog, "task.started") if p < last]
    assert len(before) < BACKLOG - 50, "there was no backlog any more"
    # Three layers: for each, places have to become free, and go on being used while it ends.
    assert len([p for p in before if p > first]) <= 3 * 3 * AT_ONCE


def test_low_work_has_its_share_under_a_stream_of_urgent_work(stack: Stack) -> None:
    low = stack.submit(side_by_side(12, 0.05), priority="low")
    stream = stack.submit(side_by_side(240, 0.05), priority="critical")
    stack.until_completed(stream)
    (end,) = positions(stack, stream, "plan.completed")
    assert [p for p in positions(stack, low, "plan.completed") if p < end]
