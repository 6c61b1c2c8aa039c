"""How many plans one may make, and how much one may follow."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx2
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from api.app import create_app
from domain.identity import PERMISSIONS, Caller
from infra.settings_of_api import Followed, Plans
from infra.store.allowances import AllowanceTable
from tests.api.conftest import System, known_by
from tests.api.test_every_answer import client, trusting
from tests.api.test_plans import GOAL
from tests.support.listening import serving


@asynccontextmanager
async def limited(
    system: System, *quotas: str, rates: Mapping[str, str] | None = None
) -> AsyncIterator[httpx2.AsyncClient]:
    """Answer from a process of its own, with quotas for persons."""
    deps = replace(
        system.deps,
        identity=trusting(system.deps.identity),
        quotas={"user": quotas},
        allowances=AllowanceTable(system.pool),
        rates=rates or {},
    )
    async with client(create_app(deps)) as http:
        yield http


async def make(
    http: httpx2.AsyncClient, who: str = "user/ann", *, key: str = "", agent: str = "CAD"
) -> httpx2.Response:
    graph = {"tasks": [{"id": "a", "name": "A", "agent": agent}]}
    headers = {"X-Who": who} | ({"Idempotency-Key": key} if key else {})
    body = {"goal": GOAL, "task_graph": graph}
    return await http.post("/api/v1/plans/create?wait=0", json=body, headers=headers)


def statuses(answers: Sequence[httpx2.Response]) -> list[int]:
    return [200 if answer.is_success else answer.status_code for answer in answers]


async def later(system: System, hours: int) -> None:
    async with system.pool.connection() as connection:
        await connection.execute(
            "update allowances set began_at = began_at - %s", [timedelta(hours=hours)]
        )


async def test_who_has_made_enough_plans_is_told_when_to_come_back(system: System) -> None:
    async with limited(system, "2/hour", rates={"user": "100/minute"}) as http:
        assert statuses([await make(http) for _ in range(2)]) == [200, 200]
        refused = await make(http)
        said = refused.json()
        assert (refused.status_code, said["code"]) == (429, "quota-spent")
        assert (said["limit"], said["current"]) == (2, 2)
        assert 3_590 <= said["retry_after"] <= 3_600
        reset_at = datetime.fromisoformat(said["reset_at"])
        assert refused.headers["x-ratelimit-reset"] == str(int(reset_at.timestamp()))
        assert refused.headers["retry-after"] == str(said["retry_after"])
        assert refused.headers["x-ratelimit-limit"] == "2"
        assert refused.headers["x-ratelimit-remaining"] == "0"
        assert '"plans";q=2;w=3600' in refused.headers["ratelimit-policy"]
        assert '"user";q=100;w=60' in refused.headers["ratelimit-policy"]
        others = [await make(http, who) for who in ("user/bob", *["admin/root"] * 3)]
        assert statuses(others) == [200] * 4


async def test_an_hour_later_one_may_go_on_until_the_day_is_full(system: System) -> None:
    async with limited(system, "2/hour", "3/day") as http:
        assert statuses([await make(http) for _ in range(3)]) == [200, 200, 429]
        await later(system, 1)
        assert statuses([await make(http) for _ in range(2)]) == [200, 429]
        said = (await make(http)).json()
        assert (said["limit"], said["current"]) == (3, 3)
        assert said["retry_after"] > 22 * 3_600
        await later(system, 23)
        assert statuses([await make(http) for _ in range(3)]) == [200, 200, 429]


async def test_processes_count_together_and_across_restarts(system: System) -> None:
    async with AsyncExitStack() as stack:
        fronts = [await stack.enter_async_context(limited(system, "3/hour")) for _ in range(2)]
        answers = await asyncio.gather(*(make(fronts[number % 2]) for number in range(8)))
    assert sorted(statuses(answers)) == [200] * 3 + [429] * 5
    async with limited(system, "3/hour") as http:
        assert (await make(http)).status_code == 429


async def test_what_leads_to_no_plan_does_not_count(system: System) -> None:
    async with limited(system, "2/hour") as http:
        assert (await make(http, agent="not an agent")).status_code == 422
        lost = {"goal": GOAL, "task_graph": {"tasks": [BROKEN]}}
        refused = await http.post("/api/v1/plans/create", json=lost, headers={"X-Who": "user/ann"})
        assert (refused.status_code, refused.json()["code"]) == (422, "unknown-dependency")
        made = [await make(http, key=key) for key in ("a", "a", "b", "a", "b", "c")]
        assert statuses(made) == [200] * 5 + [429]
        await later(system, 1)
        assert (await make(http, key="c")).is_success


BROKEN = {"id": "a", "name": "A", "agent": "CAD", "depends_on": ["nothing"]}


def test_persons_have_quotas_and_who_runs_this_has_none() -> None:
    assert Plans().model_dump() == {"user": ("10/hour", "50/day"), "admin": (), "system": ()}
    assert Followed().numbers() == {"user": 5}


async def ann(_: object) -> Caller:
    return Caller(subject="ann", role="user", permissions=PERMISSIONS["user"])


async def root(_: object) -> Caller:
    return Caller(subject="root", role="admin", permissions=PERMISSIONS["admin"])


@pytest.mark.parametrize(("who", "most"), [(ann, 2), (root, None)])
async def test_a_person_follows_so_much_at_a_time_and_no_more(
    system: System, who: Callable[[Any], Any], most: int | None
) -> None:
    app = create_app(replace(known_by(system, who), followed={"user": 2}))
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(serving(app))
        http = await stack.enter_async_context(httpx2.AsyncClient(base_url=f"http://{host}"))
        first = await stack.enter_async_context(connect(f"ws://{host}/ws/agents"))
        stream = await stack.enter_async_context(AsyncExitStack())
        await stream.enter_async_context(http.stream("GET", "/api/v1/agents/events"))
        if most is None:
            await (await connect(f"ws://{host}/ws/agents")).close()
            return
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{host}/ws/agents")
        assert refused.value.response.status_code == 429
        said = orjson.loads(refused.value.response.body)
        assert (said["code"], said["limit"]) == ("too-many-followed", most)
        answer = await http.get("/api/v1/agents/events")
        assert (answer.status_code, answer.json()["current"]) == (429, most)
        await stream.aclose()
        second = await seated(host)
        await first.close()
        third = await seated(host)
        await second.close()
        await third.close()


async def seated(host: str) -> ClientConnection:
    """Follow agents as soon as there is a seat."""
    for _ in range(100):
        try:
            return await connect(f"ws://{host}/ws/agents")
        except InvalidStatus:
            await asyncio.sleep(0.05)
    raise AssertionError("no seat has become free")
