"""What touches the outside is begun under a claim, and let go of when it is over."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.system.checker import require
from tests.system.processes import Stack, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(150)]

MAILER = """
import asyncio
import os
from agents.agent import Agent

async def send(work):
    with open(os.environ["OUTSIDE"], "a") as outside:
        outside.write(f"{work.key} {work.epoch}\\n")
    await asyncio.sleep(work.params.get("seconds", 0))
    return {}

AGENT = Agent(type="MAILER", actions={"send": send})
"""


def letter(ident: str, **changes: object) -> Mapping[str, Any]:
    known: dict[str, object] = {
        "id": ident,
        "name": f"Send {ident}",
        "agent": "MAILER",
        "action": "send",
        "effect": "external",
    }
    return known | changes


class World:
    def __init__(self, stack: Stack, outside: Path) -> None:
        self.stack = stack
        self._outside = outside

    def sent(self) -> list[str]:
        """Return what has happened outside: a task and an epoch each."""
        if not self._outside.exists():
            return []
        return [line.partition("/")[2] for line in self._outside.read_text().splitlines()]


@pytest.fixture
def world(tmp_path: Path, database: str, vhost_url: str) -> Iterator[World]:
    agent, outside = tmp_path / "mailer.py", tmp_path / "outside.txt"
    agent.write_text(MAILER)
    agents = {"mailer-1": str(agent), "mailer-2": str(agent)}
    env = {"OUTSIDE": str(outside)}
    with running(tmp_path, database, vhost_url, agents=agents, env=env) as stack:
        yield World(stack, outside)


def holder(stack: Stack, task_id: str) -> str:
    with psycopg.connect(stack.dsn) as connection:
        row = connection.execute(
            "select agent_id from views.attempts_2 where task_id = %s and state = 'started'",
            [task_id],
        ).fetchone()
    return row[0] if row else ""


def test_every_effect_happens_once_and_under_a_claim(world: World) -> None:
    stack = world.stack
    plan_id = stack.submit([letter(f"l{number:02}") for number in range(40)])
    stack.until_completed(plan_id)
    require(stack.dsn)
    assert sorted(world.sent()) == [f"l{number:02} 1" for number in range(40)]


def test_an_effect_whose_outcome_is_unknown_is_not_repeated(world: World) -> None:
    stack = world.stack
    plan_id = stack.submit([letter("a", params={"seconds": 30})])
    stack.until(lambda: world.sent() == ["a 1"] and bool(holder(stack, "a")), "it is under way")
    stack.kill(holder(stack, "a"))
    stack.until(lambda: bool(stack.count("plan.failed", stream=plan_id)), "it is given up")
    assert world.sent() == ["a 1"]
    (failed,) = stack.taskloom("events", "tail", "--type", "task.failed", "-n", "999").splitlines()
    assert "unknown: look outside, then retry or skip the task" in failed


def test_an_effect_that_the_outside_recognises_is_tried_again_with_the_same_key(
    world: World,
) -> None:
    stack = world.stack
    plan_id = stack.submit([letter("a", params={"seconds": 2}, retry={"unknown": "with_key"})])
    stack.until(lambda: world.sent() == ["a 1"] and bool(holder(stack, "a")), "it is under way")
    stack.kill(holder(stack, "a"))
    stack.until_completed(plan_id)
    assert world.sent() == ["a 1", "a 2"]
    require(stack.dsn)


def test_a_cancelled_run_ends_what_agents_have_in_hand(world: World) -> None:
    stack = world.stack
    plan_id = stack.submit([letter("a", params={"seconds": 60}, effect="none")])
    stack.until(lambda: world.sent() == ["a 1"], "it is under way")
    began = time.monotonic()
    stack.taskloom("plan", "cancel", plan_id, "--api", stack.api_url)
    stack.until(lambda: stack.count("task.stopped") == 1, "its agent has let go", seconds=20)
    assert time.monotonic() - began < 15
    require(stack.dsn)


def test_what_runs_too_long_is_stopped_and_frees_its_agent(world: World) -> None:
    stack = world.stack
    slow = [
        letter(
            f"s{number}",
            params={"seconds": 60},
            effect="none",
            timeouts={"run": 1},
            retry={"attempts": 1},
        )
        for number in range(40)  # more than both agents can have in hand
    ]
    plan_id = stack.submit(slow)
    stack.until(lambda: bool(stack.count("plan.failed", stream=plan_id)), "they have timed out")
    assert stack.count("task.timed_out") == 40
    require(stack.dsn)
