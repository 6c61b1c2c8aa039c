"""With whoever made it, a subscription ends: nothing is brought to those who are let out."""

from typing import Any

import httpx2
import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from api.app import create_app
from tests.api.conftest import System
from tests.api.people import add_user, bearer, log_in
from tests.api.test_registration import register
from tests.support.listening import serving

WISH: dict[str, Any] = {"agent_id": "erp", "topics": ["deploy.#"]}
MESSAGES = "/api/v1/messages"


async def subscribe(system: System, headers: dict[str, str], wish: dict[str, Any] = WISH) -> str:
    answer = await system.http.post(f"{MESSAGES}/subscribe", json=wish, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["subscription_id"])


async def state(system: System, name: str) -> str:
    answer = await system.http.get(f"{MESSAGES}/subscriptions/{name}")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["status"])


def done(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code < 300, answer.text
    return dict(answer.json())


@pytest.mark.proves("S-3c")
async def test_it_ends_with_the_role_it_was_made_in_and_with_the_account(system: System) -> None:
    user_id = await add_user(system, role="admin")
    user = f"/api/v1/users/{user_id}"
    first = await subscribe(system, bearer((await log_in(system))["access_token"]))
    done(await system.http.patch(user, json={"name": "Ada"}))
    assert await state(system, first) == "active"
    done(await system.http.patch(user, json={"role": "user"}))
    assert await state(system, first) == "disabled"
    done(await system.http.patch(user, json={"role": "admin"}))
    second = await subscribe(system, bearer((await log_in(system))["access_token"]))
    done(await system.http.patch(user, json={"is_active": False}))
    assert await state(system, second) == "disabled"


@pytest.mark.proves("S-3c")
async def test_it_ends_with_the_last_key_of_a_service(system: System) -> None:
    made = [
        done(await system.http.post("/api/v1/keys", json={"name": "k", "service": "erp"}))
        for _ in range(2)
    ]
    name = await subscribe(system, bearer(made[0]["key"]))
    done(await system.http.delete(f"/api/v1/keys/{made[0]['key_id']}"))
    assert await state(system, name) == "active"
    done(await system.http.delete(f"/api/v1/keys/{made[1]['key_id']}"))
    assert await state(system, name) == "disabled"


@pytest.mark.proves("S-3c")
async def test_what_has_ended_is_followed_by_nobody_who_comes_later(system: System) -> None:
    wish = WISH | {"delivery": {"kind": "websocket"}}
    asked = {"name": "k", "service": "erp"}
    made = done(await system.http.post("/api/v1/keys", json=asked))
    ended = await subscribe(system, bearer(made["key"]), wish)
    done(await system.http.delete(f"/api/v1/keys/{made['key_id']}"))
    shown = bearer(done(await system.http.post("/api/v1/keys", json=asked))["key"])
    other = await subscribe(system, shown, wish)
    async with serving(create_app(system.deps)) as host:
        async with connect(f"ws://{host}/ws/subscriptions/{other}", additional_headers=shown):
            pass
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{host}/ws/subscriptions/{ended}", additional_headers=shown)
    assert refused.value.response.status_code == 409
    assert orjson.loads(refused.value.response.body)["code"] == "subscription-over"


@pytest.mark.proves("S-3c")
async def test_it_ends_with_the_registration_of_an_agent(system: System) -> None:
    token = (done(await register(system)))["token"]
    wish = WISH | {"agent_id": "cad_agent_002"}
    name = await subscribe(system, bearer(token), wish)
    done(await system.http.delete("/api/v1/agents/cad_agent_002"))
    assert await state(system, name) == "disabled"
