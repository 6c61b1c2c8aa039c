"""Keys: they speak for their owner, within their scopes, until they are revoked."""

import asyncio
import json
from dataclasses import replace

import httpx2
import pytest

from api.app import create_app
from tests.api.conftest import System
from tests.api.people import COUNTS, ME, REFRESH, add_user, bearer, log_in


@pytest.mark.proves("S-6b")
@pytest.mark.parametrize("what", ["keys", "tokens", "refresh tokens"])
async def test_wrong_ones_have_to_wait_as_well(system: System, what: str) -> None:
    seen = []
    for number in range(61):
        claimed = {"X-Forwarded-For": f"198.51.100.{number}"}
        match what:
            case "keys":
                wrong = bearer(f"tl_{number:08x}_" + "x" * 43)
                answer = await system.http.get(ME, headers=claimed | wrong)
            case "tokens":
                answer = await system.http.get(ME, headers=claimed | bearer(f"e.{number}.x"))
            case _:
                shown = {"refresh_token": f"{number:043}"}
                answer = await system.http.post(REFRESH, json=shown, headers=claimed)
        seen.append(answer.status_code)
    assert seen == [401] * 60 + [429]
    assert (await system.http.get(ME)).status_code == 200, "who is known is not held back"


async def test_a_key_speaks_for_its_owner_within_its_scopes(system: System) -> None:
    user_id = await add_user(system)
    mine = bearer((await log_in(system))["access_token"])
    body = {"name": "ci", "scopes": ["plan:read:own", "status:read"]}
    made = await system.http.post("/api/v1/keys", json=body, headers=mine)
    assert made.status_code == 201
    key = {"X-API-Key": made.json()["key"]}
    del system.http.headers["authorization"]
    who = (await system.http.get(ME, headers=key)).json()
    assert (who["subject"], who["permissions"]) == (user_id, ["plan:read:own", "status:read"])
    refused = await system.http.post("/api/v1/plans/create", json={}, headers=key)
    assert refused.status_code == 403
    listed = (await system.http.get("/api/v1/keys", headers=mine)).json()
    assert [one["key_id"] for one in listed["keys"]] == [made.json()["key_id"]]
    assert made.json()["key"] not in json.dumps(listed)
    gone = await system.http.delete(f"/api/v1/keys/{made.json()['key_id']}", headers=mine)
    assert gone.json()["status"] == "revoked"
    deadline = asyncio.get_running_loop().time() + COUNTS
    while (await system.http.get(ME, headers=key)).status_code != 401:
        assert asyncio.get_running_loop().time() < deadline, "it still counts"
        await asyncio.sleep(0.05)


async def test_a_key_may_do_no_more_than_its_owner_may_now(system: System) -> None:
    user_id = await add_user(system, role="admin")
    admin = bearer((await log_in(system))["access_token"])
    made = await system.http.post("/api/v1/keys", json={"name": "k"}, headers=admin)
    key = bearer(made.json()["key"])
    assert (await system.http.get("/api/v1/users", headers=key)).status_code == 200
    changed = await system.http.patch(f"/api/v1/users/{user_id}", json={"role": "user"})
    assert changed.status_code == 200
    deadline = asyncio.get_running_loop().time() + COUNTS
    while (await system.http.get("/api/v1/users", headers=key)).status_code != 403:
        assert asyncio.get_running_loop().time() < deadline, "it is still an admin's"
        await asyncio.sleep(0.05)
    who = (await system.http.get(ME, headers=key)).json()
    assert (who["subject"], who["role"]) == (user_id, "user")


@pytest.mark.proves("S-7a")
async def test_more_keys_are_not_more_requests(system: System) -> None:
    await add_user(system)
    mine = bearer((await log_in(system))["access_token"])
    keys = [
        (await system.http.post("/api/v1/keys", json={"name": f"k{n}"}, headers=mine)).json()["key"]
        for n in range(4)
    ]
    app = create_app(replace(system.deps, rates={"user": "3/hour"}))
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://taskloom"
    ) as http:
        answers = [(await http.get(ME, headers={"X-API-Key": key})).status_code for key in keys]
    assert answers == [200, 200, 200, 429]


@pytest.mark.proves("S-4c")
async def test_keys_of_others_are_not_there(system: System) -> None:
    await add_user(system)
    mine = bearer((await log_in(system))["access_token"])
    other = await system.http.post("/api/v1/keys", json={"name": "k", "service": "billing"})
    key_id = other.json()["key_id"]
    assert (await system.http.get("/api/v1/keys", headers=mine)).json()["total"] == 0
    answer = await system.http.delete(f"/api/v1/keys/{key_id}", headers=mine)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-key")
    service = (await system.http.get(ME, headers=bearer(other.json()["key"]))).json()
    assert (service["actor"], service["role"]) == ("services/billing", "system")
