"""Others on the bus: one who does everything right in his own words, one who does nothing right."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

import orjson
import pika
import pytest

from infra.chaos.letters import goal, letter, malformed
from tests.support.services import Servers
from tests.support.telling import Tell
from tests.system.checker import require
from tests.system.malformed import send
from tests.system.processes import ROOT, Stack, running

pytestmark = [pytest.mark.system, pytest.mark.real, pytest.mark.timeout(480)]


@pytest.fixture
def stack(tmp_path: Path, database: str, vhost_url: str) -> Iterator[Stack]:
    agents = {"noop_worker_001": "agents.workers.noop"}
    with running(tmp_path, database, vhost_url, agents=agents) as stack:
        yield stack


def example() -> str:
    """Return the stranger's script as the page on the bus shows it."""
    text = (ROOT / "bus" / "README.md").read_text()
    found = re.search(r"```python\n(# stranger\.py.*?)```", text, flags=re.DOTALL)
    assert found is not None
    return found[1]


def block(language: str, first: str) -> str:
    """Return a block of code of the page on the bus, by how it begins."""
    text = (ROOT / "bus" / "README.md").read_text()
    found = re.search(rf"```{language}\n({re.escape(first)}.*?)```", text, flags=re.DOTALL)
    assert found is not None
    return found[1]


def test_a_stranger_in_node_does_the_same(stack: Stack, tmp_path: Path, tell: Tell) -> None:
    script = tmp_path / "stranger.mjs"
    script.write_text(block("javascript", "// stranger.mjs"))
    node, npm = shutil.which("node"), shutil.which("npm")
    installed = npm is not None and subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "amqplib@0.10"],
        cwd=tmp_path,
        capture_output=True,
        timeout=90,
    )
    if not node or not installed or installed.returncode:
        tell("NOT RUN: the example in Node needs node, npm and its registry")
        if node:
            subprocess.run([node, "--check", script], check=True, capture_output=True)
        return
    done = subprocess.run(
        [node, script, stack.amqp_url], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr + stack.words()
    outcome, plan_id = done.stdout.split()
    assert outcome == "plan.completed"
    stack.until_completed(plan_id)
    require(stack.dsn)


def test_a_shell_is_enough_to_submit_a_goal(
    stack: Stack, servers: Servers, tmp_path: Path, tell: Tell
) -> None:
    script = tmp_path / "say.sh"
    script.write_text(block("bash", "# say.sh"))
    management = servers.rabbitmq.management_url
    lacking = [name for name in ("bash", "curl", "rabbitmqadmin") if not shutil.which(name)]
    if lacking or management is None:
        what = ", ".join(lacking) or "a management API"
        tell(f"NOT RUN: the example for a shell needs {what}")
        if "bash" not in lacking:
            subprocess.run(["bash", "-n", script], check=True)
        return
    place, vhost = urlsplit(management), urlsplit(stack.amqp_url).path.removeprefix("/")
    env = {
        "MANAGEMENT": management.rstrip("/"),
        "VHOST": vhost,
        "HOST": place.hostname or "",
        "PORT": str(place.port),
        "NAME": place.username or "",
        "PASSWORD": place.password or "",
        "NAME_OF_VHOST": unquote(vhost),
    }
    stack.until(lambda: "leads" in stack.words("coordinator"), "the queue of reports is there")
    done = subprocess.run(
        ["bash", script], env=os.environ | env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"routed":true' in done.stdout
    for plan_id in ("plan_curl-1", "plan_admin-1"):
        stack.until(
            lambda plan_id=plan_id: bool(stack.count("plan.created", stream=plan_id)),  # type: ignore[misc] # bound now
            f"{plan_id} is recorded",
        )


def test_the_example_of_a_stranger_imports_nothing_of_ours() -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(example())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).partition(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"pika"}


def test_a_stranger_submits_a_goal_and_does_its_work(stack: Stack, tmp_path: Path) -> None:
    script = tmp_path / "stranger.py"
    script.write_text(example())
    done = subprocess.run(
        [sys.executable, "-I", script, stack.amqp_url],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr + stack.words()
    outcome, plan_id = done.stdout.split()
    assert outcome == "plan.completed"
    stack.until_completed(plan_id)
    found = require(stack.dsn)
    assert [run.kind for run in found.runs.values()] == ["execution"]
    run_id = next(iter(found.runs))
    texts = {
        step["event"]["task_id"]: step["event"]["result"]["text"]
        for step in map(orjson.loads, stack.taskloom("replay", run_id, "--json").splitlines())
        if step["type"] == "task.completed"
    }
    assert texts == {"shout": "HELLO", "echo": "HELLO"}


@pytest.mark.proves("A-15")
def test_whatever_is_malformed_is_kept_with_its_reason_and_stops_nothing(stack: Stack) -> None:
    coordinator = stack.pid("coordinator")
    with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as broker:
        channel = broker.channel()
        channel.confirm_delivery()
        send(channel, [letter(goal("first"))])
        stack.until_completed("plan_first")
        bad = malformed("exec_first-1", "plan_first")
        assert len(bad) > 20
        for number, one in enumerate(bad.values()):
            send(channel, [one, letter(goal(f"good{number}"))])
    for number in range(len(bad)):
        stack.until_completed(f"plan_good{number}")

    def letters() -> Counter[str]:
        kept = orjson.loads(stack.taskloom("dlq", "list", "--json", "--limit", "200"))
        return Counter(one["reason"] for one in kept)

    stack.until(lambda: letters().total() >= len(bad), "all dead letters are kept", seconds=30)
    assert letters() == Counter(dict.fromkeys(bad, 1))
    assert stack.pid("coordinator") == coordinator
    assert not stack.deaths
    assert len(require(stack.dsn).runs) == len(bad) + 1
