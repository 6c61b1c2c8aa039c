"""What is meant to keep us busy costs about as much as anything else of its size (S-20).

Each row is measured against something harmless of the same size: what is quadratic, or listed
error by error, is hundreds of times as much and fails on any machine.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import httpx2
import orjson
import pytest

from agents.engineering.times import hours_of
from api.durations import parse_duration
from bus.causes import shape_of
from bus.embedded.routing import TopicTable
from bus.strict_json import MAX_BYTES, loads_strict
from domain.errors import BadGraph, Refused
from domain.graph import LIMITS, check
from domain.tasks import Task
from projections.pictures.graph import draw_graph
from tests.api.conftest import app_alone, client_of
from tests.api.test_plans import GOAL
from tests.support.inboxes import World, delivery, hello

MOST = 25
"""How many times as much of a processor the hostile may take."""

LEAST = 0.01
"""Seconds that count as nothing."""

LOG_IN, CREATE, REGISTER = "/api/v1/auth/login", "/api/v1/plans/create", "/api/v1/agents/register"


def seconds(work: Callable[[], object]) -> float:
    """Return how much of a processor something takes."""

    def once() -> float:
        begun = time.process_time()
        work()
        return time.process_time() - begun

    return min(once() for _ in range(2))


def require_cheap(hostile: float, harmless: float) -> None:
    assert hostile < max(harmless, LEAST) * MOST, f"{hostile:.3f} s instead of {harmless:.3f} s"


# -- texts -----------------------------------------------------------------------------


def match(pattern: str, key: str) -> None:
    table: TopicTable[int] = TopicTable()
    table.add(pattern, 0)
    table.match(key)


ALMOST = {f"k{number}": "-" * 199 + chr(97 + number) for number in range(26)}
THOUSANDS = {f"k{number}": f"value {number}" for number in range(30_000)}
TEXTS: Mapping[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "the detail of a dead letter without a digit": (
        lambda: shape_of("a" * 20_000, {}),
        lambda: shape_of("exec_1 " * 2_857, {}),
    ),
    "the detail of a dead letter, and values that almost occur in it": (
        lambda: shape_of("-" * 1_000, {"data": ALMOST}),
        lambda: shape_of("some words " * 90, {"data": ALMOST}),
    ),
    "the detail of a dead letter, and thousands of values": (
        lambda: shape_of("-" * 1_000, {"data": THOUSANDS}),
        lambda: shape_of("some words " * 90, {"data": ALMOST}),
    ),
    "a duration of many parts": (
        lambda: parse_duration("1s " * 100_000),
        lambda: parse_duration("1s " * 66),
    ),
    "a duration that is a number without an end": (
        lambda: parse_duration("1" * 100_000),
        lambda: parse_duration("1 hour"),
    ),
    "a timeline of digits": (lambda: hours_of("1" * 200), lambda: hours_of("1 hour " * 28)),
    "a timeline of a digit and blanks": (
        lambda: hours_of("1" * 100 + " " * 100),
        lambda: hours_of("1 hour " * 28),
    ),
    "a pattern of a subscription full of hashes": (
        lambda: match(".".join(["#", "a"] * 5), ".".join(["a"] * 10 + ["b"])),
        lambda: match("a.b.c.d.e", "a.b.c.d.e"),
    ),
}  # fmt: skip


@pytest.mark.proves("S-20a")
@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_is_read_in_linear_time(name: str) -> None:
    hostile, harmless = TEXTS[name]
    require_cheap(seconds(hostile), seconds(harmless))


# -- bodies ----------------------------------------------------------------------------


def numbers(count: int) -> bytes:
    return b"[" + b",".join([b"1"] * count) + b"]"


def members(count: int) -> bytes:
    return b",".join(b'"k%d":1' % number for number in range(count))


def words(size: int) -> dict[str, str]:
    """Return an object that has about so many bytes as JSON, and nothing to complain about."""
    return {f"{number:06}": "x" * 10 for number in range(size // 22)}


def plan(**more: Any) -> bytes:
    return orjson.dumps({"goal": GOAL} | more)


BODIES: Mapping[str, tuple[str, bytes]] = {
    "numbers for tasks": (CREATE, plan(task_graph={"tasks": [1] * 300_000})),
    "tasks without anything": (CREATE, plan(task_graph={"tasks": [{}] * 200_000})),
    "a task of unknown fields": (
        CREATE,
        plan(task_graph={"tasks": [{f"k{number}": 1 for number in range(60_000)}]}),
    ),
    "needs that are no names": (
        CREATE,
        plan(task_graph={"tasks": [{"id": "a", "name": "A", "agent": "CAD",
                                    "depends_on": ["!"] * 150_000}]}),
    ),
    "a duration of a megabyte": (
        CREATE,
        plan(task_graph={"tasks": [{"id": "a", "name": "A", "agent": "CAD",
                                    "duration": "1s " * 200_000}]}),
    ),
    "unknown fields, from nobody": (LOG_IN, b"{" + members(60_000) + b"}"),
    "capabilities that are no names": (
        REGISTER,
        b'{"agent_id":"a","agent_type":"CAD","capabilities":' + numbers(300_000) + b"}",
    ),
}  # fmt: skip


async def answered(http: httpx2.AsyncClient, path: str, body: bytes) -> tuple[float, int]:
    begun = time.process_time()
    answer = await http.post(path, content=body, headers={"Content-Type": "application/json"})
    return time.process_time() - begun, answer.status_code


@pytest.mark.proves("S-20b")
@pytest.mark.parametrize("name", BODIES)
async def test_a_body_full_of_mistakes_is_refused_as_fast_as_one_with_a_single_one(
    name: str,
) -> None:
    path, hostile = BODIES[name]
    # As many bytes, and one mistake: a field that nobody knows.
    harmless = orjson.dumps({"unknown": words(len(hostile))})
    async with client_of(app_alone()) as http:
        await answered(http, path, b"{}")
        usual, status = await answered(http, path, harmless)
        assert status == 422
        taken, status = await answered(http, path, hostile)
    assert status == 422
    require_cheap(taken, usual)


REPORTS: Mapping[str, dict[str, Any]] = {
    "capabilities that are no names": hello("ann") | {"data": {"capabilities": [1] * 400_000}},
    "unknown fields": hello("ann") | {"data": {f"k{number}": 1 for number in range(80_000)}},
}


@pytest.mark.proves("S-20b")
@pytest.mark.parametrize("name", REPORTS)
async def test_a_report_full_of_mistakes_holds_nobody_up(name: str) -> None:
    async def heard(envelope: dict[str, Any], reasons: list[str]) -> float:
        message = delivery(envelope)
        assert len(message.body) < MAX_BYTES
        begun = time.process_time()
        assert await World().hear([message]) == reasons
        return time.process_time() - begun

    usual = await heard(hello("ann", metadata=words(len(orjson.dumps(REPORTS[name])))), [])
    require_cheap(await heard(REPORTS[name], ["schema"]), usual)


@pytest.mark.proves("S-20b")
@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 500_000,
        b'{"a":' * 100_000,
        b"9" * 900_000,
        b'"' + b'\\"' * 450_000,
        b"{" + members(60_000) + b',"k30000":1}',
        b'["' + b"\\ud83d\\ude00" * 70_000 + b'"]',
    ],
    ids=["levels", "levels of objects", "digits", "quotes", "a key twice", "pairs"],
)
def test_json_is_read_in_linear_time(raw: bytes) -> None:
    def read() -> None:
        with suppress(Refused):
            loads_strict(raw)

    harmless = orjson.dumps(words(len(raw)))
    require_cheap(seconds(read), seconds(lambda: loads_strict(harmless)))


# -- graphs ----------------------------------------------------------------------------

SIZE = LIMITS.tasks


def graph(*needs: tuple[int, ...]) -> tuple[Task, ...]:
    return tuple(
        Task(id=f"t{number}", name="T", agent="CAD", depends_on=tuple(f"t{need}" for need in each))
        for number, each in enumerate(needs)
    )


GRAPHS: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "a chain": tuple((number - 1,) if number else () for number in range(SIZE)),
    "a star": tuple((0,) if number else () for number in range(SIZE)),
    "two sides": tuple(tuple(range(200)) if number >= 200 else () for number in range(450)),
    "layers": tuple(
        tuple(range(start - 7, start)) if (start := number // 7 * 7) else ()
        for number in range(SIZE * 7 // 10)
    ),
    "a ring": tuple(((number - 1) % SIZE,) for number in range(SIZE)),
    "a ring with a long tail": tuple(
        ((number + 1) % (SIZE // 2),) if number < SIZE // 2 else (number - 1,)
        for number in range(SIZE)
    ),
}


@pytest.mark.proves("S-20c")
@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_at_the_limit_is_judged_and_drawn_in_linear_time(name: str) -> None:
    hostile, harmless = graph(*GRAPHS[name]), graph(*[()] * SIZE)

    def judge(tasks: tuple[Task, ...]) -> None:
        try:
            check(tasks)
        except BadGraph:
            return
        draw_graph("G", tasks, {})

    require_cheap(seconds(lambda: judge(hostile)), seconds(lambda: judge(harmless)))


@pytest.mark.proves("S-20c")
@pytest.mark.parametrize("shape", ["a chain", "a star", "layers"])
def test_ten_times_as_many_tasks_cost_about_ten_times_as_much(shape: str) -> None:
    whole = GRAPHS[shape]
    few = graph(*whole[: len(whole) // 10])
    many = graph(*whole)

    def judge(tasks: tuple[Task, ...]) -> None:
        check(tasks)
        draw_graph("G", tasks, {})

    taken, expected = seconds(lambda: judge(many)), 10 * seconds(lambda: judge(few))
    assert taken < 4 * max(expected, LEAST), f"{taken:.3f} s instead of {expected:.3f} s"


@pytest.mark.proves("S-20c")
async def test_far_more_tasks_than_a_graph_may_have_are_not_even_read() -> None:
    tasks = [{"id": f"t{number}", "name": "T", "agent": "CAD"} for number in range(5 * SIZE)]
    hostile = plan(task_graph={"tasks": tasks})
    async with client_of(app_alone()) as http:
        usual, _ = await answered(http, CREATE, orjson.dumps({"unknown": words(len(hostile))}))
        taken, status = await answered(http, CREATE, hostile)
    assert status == 422
    require_cheap(taken, usual)
