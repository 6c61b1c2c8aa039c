"""An agent in one file, as the page on agents has it, is all that its tasks need."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from tests.system.checker import require
from tests.system.processes import ROOT, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


def task(ident: str, *needs: str, **params: object) -> Mapping[str, Any]:
    return {
        "id": ident,
        "name": f"Greet {ident}",
        "agent": "GREETER",
        "action": "greet",
        "params": params,
        "depends_on": needs,
    }


def test_an_agent_in_one_file_takes_its_tasks(
    tmp_path: Path, database: str, vhost_url: str
) -> None:
    text = (ROOT / "agents" / "README.md").read_text()
    found = re.search(r"```python\n(# my_agent\.py\n.*?)```", text, flags=re.DOTALL)
    assert found is not None
    file = tmp_path / "my_agent.py"
    file.write_text(found[1])
    with running(tmp_path, database, vhost_url) as stack:
        # Submitted first: the tasks wait for an agent of their kind.
        plan_id = stack.submit([task("ada", name="Ada"), task("bob", "ada", name="Bob")])
        stack.until(lambda: stack.count("task.dispatched") == 1, "the first task waits")
        stack.start("greeter", "agent", str(file), "--id", "greeter")
        stack.until_completed(plan_id)
        require(database)
        with psycopg.connect(database) as connection:
            rows = connection.execute(
                "select task_id, agent_id, result->>'greeting' from views.tasks_2 order by 1"
            ).fetchall()
        assert rows == [("ada", "greeter", "Hello, Ada!"), ("bob", "greeter", "Hello, Bob!")]

        refused = stack.submit([task("nobody"), task("after", "nobody", name="Cy")])
        stack.until(lambda: bool(stack.count("plan.failed", stream=refused)), "the plan fails")
        stack.until(stack.is_shown, "the views are where the log is")
        shown = orjson.loads(stack.taskloom("plan", "show", refused, "--json"))
        assert shown["status"] == "failed"
        found_again = require(database)
        assert sorted(
            task.status for run in found_again.runs.values() for task in run.tasks.values()
        ) == ["completed", "completed", "failed", "skipped"]
        assert stack.stop("greeter", seconds=10) == 0
        assert not stack.deaths
