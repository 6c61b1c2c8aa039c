"""Dead letters are sent again while processes die: none is lost, and none is recorded twice.

``TASKLOOM_TEST_LETTERS=10000`` tries it with more.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pika
import psycopg
import pytest

from infra.chaos.letters import attempt, goal, letter, task
from tests.system.checker import require
from tests.system.malformed import send
from tests.system.processes import COMMAND, ROOT, Stack, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

LETTERS = int(os.environ.get("TASKLOOM_TEST_LETTERS", "400"))
PATIENCE = 180
"""Seconds that a machine may take which runs other things as well."""

RUN = "exec_late-1"
PLAN = "plan_late"


def names(count: int) -> Sequence[str]:
    return [f"t{number:05}" for number in range(count)]


@contextmanager
def channel_to(stack: Stack) -> Iterator[Any]:
    with closing(pika.BlockingConnection(pika.URLParameters(stack.amqp_url))) as broker:
        yield broker.channel()


def number_of(stack: Stack, question: str, *values: object) -> int:
    with psycopg.connect(stack.dsn) as connection:
        row = connection.execute(question.encode(), values or None).fetchone()
    return int(row[0]) if row else 0


def kept(stack: Stack, *statuses: str) -> int:
    return number_of(
        stack, "select count(*) from dead_letters where status = any(%s)", list(statuses)
    )


def bury_results_that_came_too_early(stack: Stack, count: int) -> None:
    """Report results of a run that nobody has heard of, and then let it begin."""
    results = [letter(attempt("task.completed", run_id=RUN, task_id=name)) for name in names(count)]
    with channel_to(stack) as channel:
        send(channel, results)
    stack.until(lambda: kept(stack, "kept") >= count, "they are dead", seconds=PATIENCE)
    assert kept(stack, "kept") == count
    with channel_to(stack) as channel:
        send(channel, [letter(goal("late", *map(task, names(count))))])
    stack.until(
        lambda: stack.count("run.started", stream=RUN) == 1, "the run has begun", seconds=PATIENCE
    )


def require_that_each_counts_once(stack: Stack, count: int) -> None:
    """Judge by what is recorded, letter by letter."""
    stack.until(lambda: kept(stack, "accepted") == count, "all are accepted", seconds=PATIENCE)
    stack.until(
        lambda: stack.count("run.completed", stream=RUN) == 1,
        "the run is completed",
        seconds=PATIENCE,
    )
    stack.until_completed(PLAN, seconds=PATIENCE)
    require(stack.dsn)
    with psycopg.connect(stack.dsn) as connection:
        recorded = connection.execute(
            "select event->'event'->>'task_id', count(*) from event_log"
            " where stream = %s and type = 'task.completed' group by 1",
            [RUN],
        ).fetchall()
    assert dict(recorded) == dict.fromkeys(names(count), 1)
    assert stack.count("report.ignored") == 0
    assert number_of(stack, "select count(*) from dead_letters") == count, "a stranger died"
    assert number_of(stack, "select max(deaths) from dead_letters") == 1
    assert number_of(stack, "select count(*) from dead_letter_history") == 3 * count
    assert (
        number_of(
            stack, "select count(distinct letter) from dead_letter_history where kind = 'accepted'"
        )
        == count
    )


@contextmanager
def operators(stack: Stack, count: int, *options: str) -> Iterator[None]:
    """Let so many people ask for the same at once; they watch until it is done."""
    asking = [
        subprocess.Popen(
            [*COMMAND, "dlq", "redrive", "--all", "--json", *options],
            cwd=ROOT,
            env=os.environ | stack._surroundings(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        for _ in range(count)
    ]
    yield
    answers = []
    for one in asking:
        stack.until(
            lambda one=one: one.poll() is not None, "an operator sees the end", seconds=PATIENCE
        )
        out, _ = one.communicate()
        assert one.returncode == 0, out
        answers.append(orjson.loads(out))
    assert {answer["status"] for answer in answers} == {"completed"}
    assert sum(answer["claimed"] for answer in answers) == kept(
        stack, "kept", "redriving", "redriven", "accepted"
    )


def redrive_through_kills(stack: Stack, count: int, *, kills: int, people: int, rate: int) -> None:
    """Send letters again and kill the coordinator in the middle, so many times."""
    bury_results_that_came_too_early(stack, count)
    with operators(stack, people, "--rate", str(rate)):
        for kill in range(1, kills + 1):
            due = count * kill // (kills + 1)
            stack.until(
                lambda due=due: count - kept(stack, "kept") >= due,
                f"{due} letters are claimed",
                seconds=PATIENCE,
            )
            stack.kill("coordinator")
    require_that_each_counts_once(stack, count)


@pytest.fixture
def stack(tmp_path: Path, database: str, vhost_url: str) -> Iterator[Stack]:
    with running(tmp_path, database, vhost_url) as stack:
        yield stack


@pytest.mark.real
def test_killed_in_the_middle_of_two_redrives_nothing_is_lost_or_doubled(stack: Stack) -> None:
    redrive_through_kills(stack, LETTERS, kills=3, people=2, rate=max(80, LETTERS // 25))


@pytest.mark.real
@pytest.mark.parametrize("place", ["after_claim", "after_publish", "after_mark"])
def test_killed_at_the_worst_moment_nothing_is_lost_or_doubled(
    tmp_path: Path, database: str, vhost_url: str, place: str
) -> None:
    chaos = {"TASKLOOM_CHAOS": "true", "TASKLOOM_FAIL": f"redrive.{place}=kill@3"}
    with running(tmp_path, database, vhost_url, env=chaos) as stack:
        bury_results_that_came_too_early(stack, LETTERS)
        with operators(stack, 1, "--rate", "400"):
            pass
        require_that_each_counts_once(stack, LETTERS)
        assert stack.deaths["coordinator"] >= 1, "nobody died there"
