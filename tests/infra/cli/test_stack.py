"""The verbs, against a stack that runs."""

import json
import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import pytest

from bus.topology import REPORTS
from infra.processes.vigil import BIRTH
from tests.infra.cli.conftest import wait_for
from tests.infra.cli.taskloom import Ended, Shell
from tests.support.databases import fresh_database
from tests.support.waiting import until

GRAPH = {
    "title": "three steps",
    "tasks": [
        {"id": "a", "name": "first", "agent": "NOOP", "action": "noop"},
        {"id": "b", "name": "second", "agent": "NOOP", "action": "noop", "depends_on": ["a"]},
        {"id": "c", "name": "third", "agent": "NOOP", "action": "noop", "depends_on": ["b"]},
    ],
}
WORKFLOW = {
    "name": "a trace",
    "schemaVersion": "1.5",
    "workflow": {
        "specification": {
            "tasks": [
                {"id": "read file#1", "name": "read", "parents": [], "children": ["sum"]},
                {"id": "sum", "name": "sum", "parents": ["read file#1"], "children": []},
                {"id": "alone", "name": "alone", "parents": [], "children": []},
            ]
        },
        "execution": {"tasks": [{"id": "sum", "runtimeInSeconds": 12.5}]},
    },
}

GREETER = """
from agents.agent import Agent, Work
from domain.values import JsonObject


async def greet(work: Work) -> JsonObject:
    return {"summary": f"hello {work.params['to']}"}


AGENT = Agent(type="GREETER", actions={"greet": greet})
"""


def given(stack: Shell, name: str, content: object) -> str:
    (stack.folder / name).write_text(json.dumps(content))
    return name


@pytest.fixture(scope="module")
def ended(stack: Shell) -> Ended:
    """A graph that was run to its end."""
    return stack.run("run", given(stack, "graph.json", GRAPH), "--json")


def test_a_task_graph_is_run_to_its_end(ended: Ended) -> None:
    assert ended.code == 0, ended.err
    assert ended.json["status"] == "completed"
    assert ended.json["critical_path"] == ["a", "b", "c"]
    assert ended.json["events"]["task.completed"] == 3
    assert "[3/3] c third (critical path)" in ended.err


def test_a_workflow_is_run_to_its_end(stack: Shell) -> None:
    ended = stack.run("run", given(stack, "workflow.json", WORKFLOW), "--json")
    assert (ended.code, ended.json["status"]) == (0, "completed"), ended.err
    assert ended.json["tasks"] == {"NOOP": 3}
    assert ended.json["estimated_seconds"] == 12.5


def test_a_goal_is_planned_and_carried_out(stack: Shell) -> None:
    submitted = stack.run("plan", "submit", "--title", "Design a bracket", "--execute", "--watch")
    assert submitted.code == 0, submitted.err
    assert "Planning completed" in submitted.err
    assert "Plan completed" in submitted.err
    assert "deliverable" in submitted.out


def test_a_plan_that_nobody_asked_to_execute_is_shown_when_it_is_ready(stack: Shell) -> None:
    plan_id = stack.run("plan", "submit", "--title", "Design a lever").out.strip()
    assert plan_id.startswith("plan_")
    assert stack.run("plan", "watch", plan_id).code == 0
    shown = stack.run("plan", "show", plan_id)
    assert "Design a lever" in shown.out
    assert "pending" in shown.out
    listed = stack.run("plan", "list", "--json").json
    assert plan_id in [plan["plan_id"] for plan in listed]


def test_a_run_that_fails_says_which_task_and_why(stack: Shell) -> None:
    tasks = [GRAPH["tasks"][0], {"id": "x", "name": "x", "agent": "CAD", "action": "sing"}]
    ended = stack.run("run", given(stack, "bad.json", {"tasks": tasks}))
    assert ended.code == 7
    assert "x failed" in ended.err
    assert "cannot sing" in ended.out


def test_what_takes_too_long_is_left_alone_with_124(stack: Shell) -> None:
    slow = {"id": "a", "name": "a", "agent": "NOOP", "action": "wait", "params": {"seconds": 5}}
    ended = stack.run("run", given(stack, "slow.json", {"tasks": [slow]}), "--timeout", "1")
    assert ended.code == 124
    assert "not ended within 1 s" in ended.err
    assert "plan watch plan_" in ended.err


def test_a_graph_with_a_cycle_is_refused_before_anything_is_sent(stack: Shell) -> None:
    tasks = [
        {"id": "a", "name": "a", "agent": "NOOP", "depends_on": ["b"]},
        {"id": "b", "name": "b", "agent": "NOOP", "depends_on": ["a"]},
    ]
    ended = stack.run("run", given(stack, "cycle.json", {"tasks": tasks}))
    assert ended.code == 1
    assert ended.err == "taskloom: these tasks wait for each other: a → b → a\n"


def test_a_run_is_replayed_event_by_event(stack: Shell, ended: Ended) -> None:
    run_id = ended.json["execution_id"]
    replayed = stack.run("replay", run_id, "--json")
    lines = [json.loads(line) for line in replayed.out.splitlines()]
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[0]["type"] == "run.started"
    assert lines[-1]["state"] == {"status": "completed", "tasks": 3, "ended": 3, "not well": 0}
    only = stack.run("replay", run_id, "--type", "task.started")
    assert only.out.count("task.started") == 3
    assert "task.completed" not in only.out
    assert stack.run("replay", run_id, "--until", "2").out.count("= status") == 2


def test_an_export_is_replayed_with_no_service_at_all(
    stack: Shell, ended: Ended, tmp_path: Path
) -> None:
    file = tmp_path / "export.jsonl"
    assert stack.run("events", "export", ended.json["plan_id"], str(file)).code == 0
    elsewhere = Shell(folder=tmp_path, env={"TASKLOOM_DB__DSN": "postgresql://127.0.0.1:1/x"})
    run_id = ended.json["execution_id"]
    offline = elsewhere.run("replay", run_id, "--file", str(file))
    assert offline.code == 0, offline.err
    assert offline.out == stack.run("replay", run_id).out


def test_the_end_of_the_log_is_shown_as_lines_and_as_cloudevents(
    stack: Shell, ended: Ended
) -> None:
    lines = stack.run("events", "tail", "-n", "2").out.splitlines()
    assert len(lines) == 2
    events = stack.run("events", "tail", "--from", "0", "--type", "plan.*", "--json").out
    plan_ids = {json.loads(line)["subject"] for line in events.splitlines()}
    assert ended.json["plan_id"] in plan_ids
    assert all(json.loads(line)["specversion"] == "1.0" for line in events.splitlines())


def test_views_are_listed_verified_and_rebuilt(stack: Shell, ended: Ended) -> None:
    assert ended.code == 0
    views = [view["view"] for view in stack.run("projection", "list", "--json").json]
    assert {"plans", "tasks", "executions", "agents", "timeline"} <= set(views)
    assert stack.run("projection", "rebuild", "tasks").code == 0
    verified = stack.run("projection", "verify", "--json")
    assert verified.code == 0, verified.out
    assert all(view["different"] == 0 for view in verified.json)
    assert stack.run("projection", "rebuild", "no-such").code == 3


def test_a_healthy_stack_is_found_healthy(stack: Shell, ended: Ended) -> None:
    assert ended.code == 0
    seen = stack.run("doctor", "--json")
    found = {one["what"]: one["level"] for one in seen.json}
    assert seen.code == 0, seen.out
    for what in ("stack", "database", "migrations", "fsync", "limits", "views", "broker"):
        assert found[what] == "ok", what
    assert found["topology"] == "ok"


def test_what_does_not_exist_is_3(stack: Shell) -> None:
    for words in (
        ("replay", "exec_no-such"),
        ("plan", "show", "plan_no-such"),
        ("dlq", "show", "123456"),
    ):
        ended = stack.run(*words)
        assert ended.code == 3, words
        assert ended.err.startswith("taskloom: ")
        assert "Traceback" not in ended.err


def test_a_person_sees_bars_and_the_critical_path(stack: Shell) -> None:
    tasks = [
        {"id": "a", "name": "one", "agent": "NOOP", "action": "wait", "params": {"seconds": 0.5}},
        {"id": "b", "name": "two", "agent": "CAD", "action": "sing", "depends_on": ["a"]},
    ]
    seen = stack.run_on_a_terminal("run", given(stack, "seen.json", {"tasks": tasks}))
    assert seen.code == 7
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.out)
    assert "executing 0/2 tasks" in plain
    assert "◆ a one" in plain
    assert "1 at work" in plain
    assert re.search(r"CAD +━+ 0/1", plain)
    assert "b failed in attempt 1 (validation): a CAD agent cannot sing" in plain


def test_views_are_rebuilt_before_the_eyes_of_a_person(stack: Shell) -> None:
    seen = stack.run_on_a_terminal("projection", "rebuild", "plans")
    assert seen.code == 0
    assert "plans is rebuilt up to position" in seen.out


def test_lists_are_tables_for_people(stack: Shell, ended: Ended) -> None:
    assert ended.json["plan_id"] in stack.run("plan", "list").out
    assert "timeline" in stack.run("projection", "list").out
    assert "as the log says" in stack.run("projection", "verify", "tasks").out
    shown = stack.run("plan", "show", ended.json["plan_id"])
    assert "critical path  3 tasks" in shown.out
    planned = stack.run("plan", "schedule", ended.json["plan_id"])
    assert "critical path  a, b, c" in planned.out
    assert "1 NOOP" in planned.out
    forecast = stack.run("execution", "forecast", ended.json["execution_id"])
    assert "delay        -3 hours" in forecast.out
    assert "ok    topology" in stack.run("doctor").out


def test_a_running_process_is_alive(stack: Shell) -> None:
    live = stack.run("doctor", "--live", "--json")
    assert live.code == 0, live.out
    assert any("up" in one["found"] for one in live.json)


async def test_an_agent_in_a_file_of_its_own_joins_the_stack(stack: Shell) -> None:
    (stack.folder / "my_agent.py").write_text(GREETER)
    agent = stack.start("agent", "my_agent.py", "--id", "greeter_1")
    said = stack.folder / "err"
    await until(lambda: "agent.ready" in said.read_text(), "it is ready")
    task = {"id": "g", "name": "g", "agent": "GREETER", "action": "greet", "params": {"to": "you"}}
    greeted = stack.run("run", given(stack, "greet.json", {"tasks": [task]}), "--json")
    assert greeted.json["deliverables"] == {"g": {"summary": "hello you"}}
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(20) == 0
    left = stack.run("events", "tail", "--from", "0", "--type", "agent.deregistered").out
    assert "greeter_1" in left


def test_no_dead_letters_is_said_and_is_an_empty_list(stack: Shell) -> None:
    assert stack.run("dlq", "list").err == "no dead letters\n"
    assert stack.run("dlq", "list", "--json").json == []


@pytest.mark.proves("S-19d")
async def test_the_embedded_broker_of_a_stack_lets_in_who_was_told_its_password(
    stack: Shell,
) -> None:
    file = stack.folder / ".taskloom" / "stack.json"
    assert S_IMODE(file.stat().st_mode) == 0o600
    url = json.loads(file.read_text())["amqp_url"]
    async with await aio_pika.connect(url):
        pass
    guest = urlsplit(url)._replace(netloc=f"guest:guest@127.0.0.1:{urlsplit(url).port}")
    with pytest.raises(aio_pika.exceptions.AMQPError):
        await aio_pika.connect(guest.geturl())


async def test_a_message_that_is_no_report_is_listed_and_shown_with_its_reason(
    stack: Shell,
) -> None:
    address = json.loads((stack.folder / ".taskloom" / "stack.json").read_text())
    connection = await aio_pika.connect(address["amqp_url"])
    async with connection:
        channel = await connection.channel()
        reports = await channel.get_exchange(REPORTS, ensure=False)
        message = aio_pika.Message(b"\xff{", message_id="m1", content_type="application/json")
        await reports.publish(message, routing_key="task.started")
    listed: list[dict[str, Any]] = []
    deadline = time.monotonic() + 20
    while not listed and time.monotonic() < deadline:
        listed = stack.run("dlq", "list", "--json").json
    assert [letter["message_id"] for letter in listed] == ["m1"]
    number, reason = str(listed[0]["id"]), listed[0]["reason"]
    assert reason in stack.run("dlq", "list").out
    assert reason in stack.run("dlq", "show", number).out
    assert stack.run("dlq", "show", number, "--json").json["body_base64"] == "/3s="
    assert stack.run("dlq", "list", "--reason", "no-such", "--json").json == []
    assert "dead letters" in stack.run("doctor").out


def test_an_agent_that_stands_still_is_started_again(postgres_dsn: str, tmp_path: Path) -> None:
    with fresh_database(postgres_dsn) as dsn:
        env = {
            "TASKLOOM_DB__DSN": dsn,
            "TASKLOOM_HTTP__PORT": "0",
            "TASKLOOM_AGENTS__HUNG_AFTER": "4",
        }
        up = Shell(folder=tmp_path, env=env).start("up")
        try:
            wait_for(tmp_path / "err", "Ctrl-C stops everything", up.poll)
            shell = Shell(folder=tmp_path)
            while not _is_heard("noop_worker_001", shell):
                assert up.poll() is None
            before = _pid_of("noop_worker_001", tmp_path)
            assert before is not None
            os.kill(before, signal.SIGSTOP)
            # One that nobody has heard yet is given a minute to begin.
            wait_for(tmp_path / "err", "restarted once", up.poll, seconds=BIRTH + 60)
            deadline = time.monotonic() + 20
            while _pid_of("noop_worker_001", tmp_path) in (None, before):
                assert time.monotonic() < deadline, "nobody was started in its place"
                time.sleep(0.05)
            ended = shell.run("run", given(shell, "g", GRAPH))
            assert ended.code == 0, ended.err
            assert (tmp_path / "err").read_text().count("restarted") == 1
        finally:
            with suppress(ProcessLookupError):
                os.killpg(up.pid, signal.SIGINT)
            up.wait(30)


def _is_heard(name: str, shell: Shell) -> bool:
    listed: dict[str, Any] = shell.run("agents", "list", "--json").json
    return any(one["agent_id"] == name and one["last_heartbeat"] for one in listed["agents"])


def _pid_of(name: str, folder: Path) -> int | None:
    address: dict[str, Any] = json.loads((folder / ".taskloom" / "stack.json").read_text())
    pid: int | None = address["pids"].get(name)
    return pid


def test_a_letter_is_edited_and_sent_again_until_it_is_accepted(stack: Shell) -> None:
    (letter,) = stack.run("dlq", "list", "--json").json
    number = str(letter["id"])
    failed = stack.run("dlq", "redrive", number, "--canary", "1")
    assert failed.code == 7, failed.err
    assert "1 of the first 1 died again" in failed.err
    hello = {
        "specversion": "1.0",
        "id": "m1",
        "source": "/agents/lazarus",
        "type": "agent.registered",
        "time": "2026-01-20T11:30:00Z",
        "data": {"agent_id": "lazarus", "agent_type": "NOOP", "instance": "1"},
    }
    (stack.folder / "hello.json").write_text(json.dumps(hello))
    words = ("--key", "agent.registered", "--content-type", "application/cloudevents+json")
    edited = stack.run("dlq", "edit", number, "--body", "hello.json", *words)
    assert edited.code == 0, edited.err
    assert "1 of 1 letters would be accepted" in stack.run("dlq", "rehearse", number).err
    sent = stack.run("dlq", "redrive", number, "--why", "it is repaired")
    assert (sent.code, "1 accepted" in sent.out) == (0, True), sent.err
    shown = stack.run("dlq", "show", number, "--json").json
    assert (shown["status"], shown["deaths"], shown["redrives"]) == ("accepted", 2, 2)
    kinds = ["died", "redriven", "died", "edited", "redriven", "accepted"]
    assert [entry["kind"] for entry in shown["history"]] == kinds
    assert stack.run("dlq", "list").err == "no dead letters\n"
