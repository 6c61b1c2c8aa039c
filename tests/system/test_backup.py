"""An agent that stands by: seen in the API, idle while others have places, there when they go."""

from collections import Counter
from pathlib import Path

import psycopg
import pytest

from tests.system.graphs import layered
from tests.system.processes import Stack, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def starts(stack: Stack) -> Counter[str]:
    """Return how many tasks each agent has started."""
    with psycopg.connect(stack.dsn) as connection:
        rows = connection.execute(
            "select convert_from(state, 'utf8')::json -> 'event' ->> 'agent_id'"
            " from events where topic = 'task.started'"
        ).fetchall()
    return Counter(row[0] for row in rows)


def run(stack: Stack, tasks: int, *, seconds: float) -> None:
    stack.until_completed(stack.submit(layered(tasks, width=tasks, seconds=seconds)))


def test_a_backup_stands_by_and_takes_over(tmp_path: Path, database: str, vhost_url: str) -> None:
    env = {"TASKLOOM_AGENTS__CONCURRENCY": "2"}
    with running(tmp_path, database, vhost_url, env=env) as stack:
        for name, options in (("backup", ("--backup",)), ("first", ())):
            stack.start(name, "agent", "agents.workers.noop", "--id", name, *options)
        stack.until(lambda: stack.count("agent.registered") == 2, "both have registered")
        stack.until(stack.is_shown, "the views are where the log is")
        shown = {one["agent_id"]: one["backup"] for one in stack.ask("/agents")["agents"]}
        assert shown == {"first": False, "backup": True}
        for _ in range(3):
            run(stack, 1, seconds=0.05)
        assert starts(stack) == {"first": 3}
        run(stack, 30, seconds=0.3)
        assert starts(stack)["backup"] > 5
        before = starts(stack)["first"]
        stack.stop("first", seconds=20)
        run(stack, 4, seconds=0.05)
        assert starts(stack)["first"] == before
