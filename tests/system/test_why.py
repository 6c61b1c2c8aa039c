"""Whatever keeps a task is named while it does, with the command that helps."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from domain.runs_of_plans import execution_of
from tests.system.processes import Stack, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

AGENTS = {
    "noop_worker_001": "agents.workers.noop",
    "noop_worker_002": "agents.workers.noop",
}


def a_task(task_id: str, *needs: str, seconds: float = 0.0, agent: str = "NOOP") -> dict[str, Any]:
    return {
        "id": task_id,
        "name": task_id,
        "agent": agent,
        "action": "wait" if seconds else "noop",
        "params": {"seconds": seconds} if seconds else {},
        "depends_on": needs,
    }


def begun(stack: Stack, *tasks: dict[str, Any], **options: Any) -> str:
    run_id = execution_of(stack.submit(tasks, options=options), 1)
    stack.until(lambda: bool(stack.count("run.started", stream=run_id)), "the run has started")
    stack.until(stack.is_shown, "the views are where the log is")
    return run_id


def root(stack: Stack, run_id: str, task_id: str) -> dict[str, Any]:
    found: dict[str, Any] | None = stack.ask(f"/executions/{run_id}/tasks/{task_id}/why")["root"]
    return found or {"cause": "done"}


def steer(stack: Stack, run_id: str, what: str) -> None:
    stack.ask(f"/executions/{run_id}/{what}", {})


def until_cause(stack: Stack, run_id: str, task_id: str, cause: str, **details: Any) -> Any:
    seen: list[dict[str, Any]] = []

    def is_so() -> bool:
        seen.append(root(stack, run_id, task_id))
        known = seen[-1].get("details", {})
        return seen[-1]["cause"] == cause and details.items() <= known.items()

    try:
        stack.until(is_so, f"{cause} keeps {task_id}")
    except AssertionError as error:
        error.add_note(f"the last that was seen: {seen[-1]}")
        raise
    return seen[-1]


def test_whatever_keeps_a_task_is_named_while_it_does(
    tmp_path: Path, durable_database: str, vhost_url: str
) -> None:
    with running(tmp_path, durable_database, vhost_url) as stack:
        for agent_id, reference in AGENTS.items():
            stack.start(agent_id, "agent", reference, "--id", agent_id)
        nobody_paints(stack)
        an_agent_falls_silent(stack)
        a_run_is_paused(stack)
        a_limit_holds(stack)
        the_doctor_knows(stack)


def nobody_paints(stack: Stack) -> None:
    run_id = begun(stack, a_task("paint", agent="PAINTER"), a_task("dry", "paint"))
    until_cause(stack, run_id, "dry", "no_agents", agent_type="PAINTER")
    for words in (("why", run_id, "dry"), ("why", "dry")):
        said = stack.taskloom(*words).splitlines()
        assert said[0] == "dry: waits for paint"
        assert "no execution agent of type PAINTER" in said[1]
        assert said[2].endswith("agent FILE.py  # with an execution AGENT of type PAINTER")
    assert "paint: ready for" in stack.taskloom("why", run_id)


def an_agent_falls_silent(stack: Stack) -> None:
    run_id = begun(stack, a_task("long", seconds=50), a_task("after", "long"))
    holder = until_cause(stack, run_id, "after", "at_work")["details"]["agent_id"]
    os.kill(stack.pid(holder), signal.SIGSTOP)
    silent = until_cause(stack, run_id, "after", "falls_silent", agent_id=holder)
    assert "then another attempt begins" in silent["says"]
    (other,) = AGENTS.keys() - {holder}
    until_cause(stack, run_id, "after", "at_work", agent_id=other, epoch=2)
    os.kill(stack.pid(holder), signal.SIGCONT)


def a_run_is_paused(stack: Stack) -> None:
    run_id = begun(stack, a_task("first", seconds=2), a_task("second", "first"))
    steer(stack, run_id, "pause")
    paused = until_cause(stack, run_id, "second", "paused")
    (command,) = paused["unblock"]
    stack.taskloom(*command.split()[1:])
    until_cause(stack, run_id, "second", "done")


def a_limit_holds(stack: Stack) -> None:
    tasks = [a_task(f"one-{number}", seconds=50) for number in range(2)]
    run_id = begun(stack, *tasks, parallelization="conservative")
    until_cause(stack, run_id, "one-1", "at_work")
    said = stack.taskloom("why", run_id, "one-1").splitlines()
    assert said[0] == "one-1: held: 1 NOOP at a time, and one-0 under way"
    assert "└ one-0: noop_worker_00" in said[1]


def the_doctor_knows(stack: Stack) -> None:
    said = stack.taskloom("doctor")
    assert "each stands somewhere" in said
    stack.stop("coordinator", seconds=20)
    said = stack.taskloom("doctor", code=1)
    assert "coordinator: none leads" in said
