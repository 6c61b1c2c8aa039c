"""What is answered, and how long that takes, tells nobody what is there (S-2, S-6, S-24)."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest
from psycopg import AsyncCursor
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from api.app import create_app
from api.identity.passwords import Passwords
from tests.api.conftest import System, known_by
from tests.api.living import a_run
from tests.api.people import LOGIN, add_user, log_in, refresh, status
from tests.api.test_every_answer import by_header, client
from tests.support.listening import serving

EVE = {"X-Who": "user/eve"}
SAME = 3.0
"""How many times as long one thing may take as the other on a machine that does something else."""


async def times(ask: Callable[[int], Awaitable[Any]], *, count: int = 40) -> float:
    """Return how long an answer usually takes."""
    taken: list[float] = []
    for number in range(count):
        begun = time.perf_counter()
        await ask(number)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


@pytest.mark.proves("S-24b")
async def test_a_live_connection_to_what_is_somebody_elses_is_refused_as_if_there_were_none(
    system: System,
) -> None:
    run_id = await a_run(system)
    nowhere = run_id[:-1] + ("1" if run_id[-1] != "1" else "2")
    async with serving(create_app(known_by(system, by_header))) as host:

        async def answer(name: str) -> tuple[int, bytes]:
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{host}/ws/executions/{name}", additional_headers=EVE)
            body = refused.value.response.body
            return refused.value.response.status_code, body.replace(name.encode(), b"?")

        there, absent = await answer(run_id), await answer(nowhere)
        assert there[0] == absent[0] == 404
        assert strip(there[1]) == strip(absent[1])
        assert len(there[1]) == len(absent[1])


def strip(problem: bytes) -> bytes:
    """Return a problem without the name of its request."""
    return problem.partition(b',"request_id"')[0]


@pytest.mark.proves("S-24c")
async def test_what_is_somebody_elses_takes_as_long_as_what_is_not_there(system: System) -> None:
    runs = [await a_run(system) for _ in range(10)]
    async with client(create_app(known_by(system, by_header))) as http:

        def show(name: str) -> Awaitable[Any]:
            return http.get(f"/api/v1/executions/{name}", headers=EVE)

        first = await show(runs[0])
        assert (first.status_code, first.json()["code"]) == (404, "unknown-run")
        there = await times(lambda number: show(runs[number % 10]))
        absent = await times(lambda number: show(f"exec_nobody{number % 10}-1"))
    assert 1 / SAME < there / absent < SAME, f"{there:.5f} s and {absent:.5f} s"


@pytest.mark.proves("S-24c")
async def test_for_what_is_somebody_elses_as_much_is_looked_up_as_for_what_is_not_there(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = AsyncCursor[Any].execute
    asked: ContextVar[list[str] | None] = ContextVar("asked", default=None)

    async def noted(cursor: AsyncCursor[Any], query: Any, *args: Any, **more: Any) -> Any:
        if (questions := asked.get()) is not None:  # the loops of the system ask as well
            questions.append(repr(query))
        return await execute(cursor, query, *args, **more)

    monkeypatch.setattr(AsyncCursor, "execute", noted)
    run_id = await a_run(system)
    shown = await system.http.get(
        f"/api/v1/executions/{run_id}", params={"min_position": await system.deps.head()}
    )
    assert shown.status_code == 200, "the views have it, and nobody waits for them"
    async with client(create_app(known_by(system, by_header))) as http:

        async def looked_up(path: str) -> list[str]:
            questions: list[str] = []
            before = asked.set(questions)
            assert (await http.get(f"/api/v1/{path}", headers=EVE)).status_code == 404
            asked.reset(before)
            return questions

        for path in ("executions/{}", "executions/{}/tasks", "executions/{}/why"):
            there = await looked_up(path.format(run_id))
            absent = await looked_up(path.format("exec_nobody-1"))
            assert there == absent != [], path


@pytest.mark.proves("S-6c")
async def test_a_login_that_is_unknown_costs_as_much_as_a_wrong_password() -> None:
    passwords = Passwords()
    hashed = await passwords.hash("a long enough password")
    assert not await passwords.verify(None, "whatever")  # makes what nobody has

    async def cost(of: str | None) -> float:
        begun = time.process_time()
        for _ in range(3):
            assert not await passwords.verify(of, "a wrong password")
        return time.process_time() - begun

    wrong, unknown = await cost(hashed), await cost(None)
    assert 1 / SAME < wrong / unknown < SAME, f"{wrong:.3f} s and {unknown:.3f} s"


@pytest.mark.proves("S-6c")
async def test_logging_in_as_nobody_costs_as_much_as_with_a_wrong_password(system: System) -> None:
    gone = await add_user(system, "bob")
    await add_user(system)
    disabled = await system.http.patch(f"/api/v1/users/{gone}", json={"is_active": False})
    assert disabled.status_code == 200

    async def cost(login: str) -> float:
        begun = time.process_time()
        for _ in range(3):
            answer = await system.http.post(LOGIN, json={"login": login, "password": "wrong"})
            assert answer.json()["code"] == "wrong-password"
        return time.process_time() - begun

    await system.http.post(LOGIN, json={"login": "first", "password": "makes what nobody has"})
    costs = {login: await cost(login) for login in ("ada", "bob", "eve")}
    assert max(costs.values()) < SAME * min(costs.values()), costs


@pytest.mark.proves("S-2b")
async def test_a_client_that_refreshes_twice_at_once_stays_logged_in(system: System) -> None:
    await add_user(system)
    first = await log_in(system)
    answers = await asyncio.gather(*(refresh(system, first["refresh_token"]) for _ in range(5)))
    granted = [answer.json() for answer in answers if answer.status_code == 200]
    assert granted
    for tokens in granted:
        assert await status(system, tokens["access_token"]) == 200
