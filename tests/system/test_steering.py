"""A live run is steered, by its API and from the command line: measured in the log."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from tests.system.checker import require
from tests.system.graphs import layered
from tests.system.processes import Stack, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(480)]

AGENTS = {"noop-1": "agents.workers.noop", "noop-2": "agents.workers.noop"}
PROMPT = timedelta(seconds=1)
"""After that much time nothing new is dispatched."""

CLERK = '''
from pathlib import Path

from agents.agent import Agent, CannotBeDone, Work
from domain.values import JsonObject

LICENCE = Path({licence!r})


async def sign(work: Work) -> JsonObject:
    """Sign, where there is a licence to."""
    if work.params.get("needs_licence") and not LICENCE.exists():
        raise CannotBeDone("there is no licence")
    return {{}}


AGENT = Agent(type="CLERK", actions={{"sign": sign}})
'''


def post(stack: Stack, path: str, **body: object) -> Mapping[str, Any]:
    found: Mapping[str, Any] = stack.ask(path, body)
    return found


def command(stack: Stack, *arguments: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = orjson.loads(stack.taskloom("execution", *arguments, "--json"))
    return found


def run_of(plan_id: str) -> str:
    return f"exec_{plan_id.removeprefix('plan_')}-1"


def recorded(stack: Stack, run_id: str, type_: str) -> list[tuple[str, datetime]]:
    """Return of which tasks a type of event is recorded, and when."""
    with psycopg.connect(stack.dsn) as connection:
        rows = connection.execute(
            "select event->'event'->>'task_id', (event->'meta'->>'at')::timestamptz from event_log"
            " where stream = %s and type = %s order by position",
            [run_id, type_],
        ).fetchall()
    return [(str(task), at) for task, at in rows]


def completed(stack: Stack, run_id: str) -> int:
    return stack.count("task.completed", stream=run_id)


def is_at_rest(stack: Stack, run_id: str) -> bool:
    """Say whether agents have nothing of a run in hand."""
    tasks = stack.ask(f"/executions/{run_id}")["progress"]["tasks"]
    return stack.is_shown() and not tasks["dispatched"] and not tasks["started"]


def test_a_run_is_paused_resumed_and_rolled_back(
    tmp_path: Path, database: str, vhost_url: str
) -> None:
    with running(tmp_path, database, vhost_url, agents=AGENTS) as stack:
        run_id = run_of(stack.submit(layered(96, width=8, seconds=0.25)))
        stack.until(lambda: completed(stack, run_id) >= 16, "it is on its way")

        paused = post(stack, f"/executions/{run_id}/pause", reason="lunch")
        answered = datetime.now(UTC)
        assert (paused["status"], paused["checkpoint_id"]) == ("paused", "checkpoint_001")
        stack.until(lambda: is_at_rest(stack, run_id), "what agents had in hand has ended")
        stack.kill("coordinator")  # a pause is in the record, not in a process
        stack.until(lambda: datetime.now(UTC) > answered + 4 * PROMPT, "time has passed")
        late = [
            at for _, at in recorded(stack, run_id, "task.dispatched") if at > answered + PROMPT
        ]
        assert not late
        kept = {task for task, _ in recorded(stack, run_id, "task.completed")}
        assert 16 <= len(kept) < 96

        resumed = command(stack, "resume", run_id)
        assert (resumed["status"], resumed["resumed_from"]) == ("running", "checkpoint_001")
        stack.until(lambda: completed(stack, run_id) >= len(kept) + 24, "it goes on")

        back = command(stack, "rollback", run_id, "checkpoint_001", "--reason", "wrong bolts")
        assert back["status"] == "paused"
        shown = command(stack, "show", run_id)
        assert shown["progress"]["completed_tasks"] == back["completed_tasks"]
        assert back["completed_tasks"] + back["undone_tasks"] <= 96
        ends = stack.count("run.completed", stream=run_id)  # one, where it was over before
        assert post(stack, f"/executions/{run_id}/resume")["status"] == "running"
        stack.until(
            lambda: stack.count("run.completed", stream=run_id) > ends, "it is completed again"
        )
        stack.until(stack.is_shown, "the views are where the log is")

        completions = recorded(stack, run_id, "task.completed")
        times = [task for task, _ in completions]
        assert len(set(times)) == 96
        [(_, rolled_back)] = recorded(stack, run_id, "run.rolled_back")
        before = {task for task, at in completions if at <= rolled_back}
        assert {task for task in times if times.count(task) > 1} <= before
        assert len(times) - 96 >= 24 - 16  # what was done after the checkpoint was done again
        assert command(stack, "show", run_id)["progress"]["tasks"]["completed"] == 96
        assert (
            stack.ask(f"/plans/plan_{run_id.removeprefix('exec_')[:-2]}")["status"] == "completed"
        )


def test_a_failed_run_is_finished_by_retrying_and_skipping(
    tmp_path: Path, database: str, vhost_url: str
) -> None:
    licence = tmp_path / "licence"
    clerk = tmp_path / "clerk.py"
    clerk.write_text(CLERK.format(licence=str(licence)))

    def task(ident: str, *needs: str, **params: object) -> Mapping[str, Any]:
        return {
            "id": ident, "name": f"Sign {ident}", "agent": "CLERK", "action": "sign",
            "depends_on": needs, "params": params,
        }  # fmt: skip

    graph = [task("a", needs_licence=True), task("b", "a"), task("c", "b", needs_licence=True)]
    with running(tmp_path, database, vhost_url, agents={"clerk": str(clerk)}) as stack:
        plan_id = stack.submit([*graph, task("d", "c")])
        run_id = run_of(plan_id)

        def failures(number: int) -> bool:
            return stack.count("plan.failed", stream=plan_id) == number and stack.is_shown()

        stack.until(lambda: failures(1), "it fails for want of a licence")
        refused = stack.taskloom("execution", "retry", run_id, "b", code=4)
        assert refused == ""
        licence.touch()
        retried = command(stack, "retry", run_id, "a", "--reason", "a licence was bought")
        assert list(retried["reopened_tasks"]) == ["a", "b", "c", "d"]
        stack.until_completed(plan_id)
        assert stack.count("plan.started", stream=plan_id) == 2

        licence.unlink()
        plan_id = stack.submit([*graph, task("d", "c")])
        run_id = run_of(plan_id)
        stack.until(lambda: failures(1), "it fails for want of a licence")
        post(stack, f"/executions/{run_id}/tasks/a/skip", reason="signed by hand")
        stack.until(lambda: failures(2), "another task wants a licence")
        assert command(stack, "skip", run_id, "c")["task_status"] == "skipped"
        stack.until_completed(plan_id)
        statuses = {each["task_id"]: each["status"] for each in _tasks(stack, run_id)}
        assert statuses == {"a": "skipped", "b": "completed", "c": "skipped", "d": "completed"}


def _tasks(stack: Stack, run_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = orjson.loads(
        stack.taskloom("execution", "tasks", run_id, "--json")
    )
    return found


def test_a_cancelled_run_ends_what_agents_have_in_hand(
    tmp_path: Path, database: str, vhost_url: str
) -> None:
    with running(tmp_path, database, vhost_url, agents=AGENTS) as stack:
        run_id = run_of(stack.submit(layered(8, width=4, seconds=50)))
        stack.until(lambda: stack.count("task.started", stream=run_id) == 4, "four are in hand")
        cancelled = command(stack, "cancel", run_id, "--reason", "enough")
        assert cancelled["status"] == "cancelled"
        assert (cancelled["completed_tasks"], cancelled["rollback_available"]) == (0, True)
        stack.until(
            lambda: stack.count("task.stopped", stream=run_id) == 4,
            "the agents have let go",
            seconds=20,
        )
        assert stack.count("task.cancelled", stream=run_id) == 8
        # The agents are free again, long before the tasks would have ended.
        stack.until_completed(stack.submit(layered(8, width=4)), seconds=20)
        assert completed(stack, run_id) == 0
        require(database)
