"""Sessions: begun with a password, gone on with refresh tokens, ended for everybody at once."""

import pytest

from infra.store.accounts import GRACE
from tests.api.conftest import System
from tests.api.people import (
    LOGIN,
    PASSWORD,
    acts,
    add_user,
    bearer,
    log_in,
    refresh,
    status,
    until_refused,
)


@pytest.mark.proves("S-1b")
async def test_a_refresh_token_is_no_access_token(system: System) -> None:
    await add_user(system)
    tokens = await log_in(system)
    assert await status(system, tokens["refresh_token"]) == 401
    assert (await refresh(system, tokens["access_token"])).status_code in (401, 422)


@pytest.mark.proves("S-2a")
async def test_a_refresh_token_counts_once_and_its_theft_ends_the_session(system: System) -> None:
    await add_user(system)
    first = await log_in(system)
    second = (await refresh(system, first["refresh_token"])).json()
    assert await status(system, second["access_token"]) == 200
    # Somebody else shows the first one, which was used up.
    stolen = await refresh(system, first["refresh_token"], agent="thief")
    assert (stolen.status_code, stolen.json()["code"]) == (401, "session-over")
    assert (await refresh(system, second["refresh_token"])).status_code == 401
    await until_refused(system, second["access_token"])
    assert ("refresh.reused", "refused") in await acts(system)


@pytest.mark.proves("S-2b")
async def test_whose_answer_was_lost_may_ask_again(system: System) -> None:
    await add_user(system)
    first = await log_in(system)
    lost = await refresh(system, first["refresh_token"])
    again = await refresh(system, first["refresh_token"])
    assert (lost.status_code, again.status_code) == (200, 200)
    for answer in (lost, again):
        assert (await refresh(system, answer.json()["refresh_token"])).status_code == 200
    async with system.pool.connection() as connection:
        await connection.execute(
            "update identity.refresh_tokens set used_at = used_at - %s", [GRACE]
        )
    assert (await refresh(system, first["refresh_token"])).status_code == 401


@pytest.mark.proves("S-3a")
@pytest.mark.parametrize("what", ["logout", "password", "role", "disabled"])
async def test_what_takes_somebody_out_takes_their_tokens(system: System, what: str) -> None:
    user_id = await add_user(system)
    tokens = await log_in(system)
    access = tokens["access_token"]
    assert await status(system, access) == 200
    mine, user = bearer(access), f"/api/v1/users/{user_id}"
    match what:
        case "logout":
            answer = await system.http.post("/api/v1/auth/logout", headers=mine)
        case "password":
            asked = {"old_password": PASSWORD, "new_password": "another long password"}
            answer = await system.http.post("/api/v1/auth/password", json=asked, headers=mine)
        case "role":
            answer = await system.http.patch(user, json={"role": "admin"})
        case _:
            answer = await system.http.patch(user, json={"is_active": False})
    assert answer.status_code == 200, answer.text
    assert (await refresh(system, tokens["refresh_token"])).status_code == 401, "at once"
    await until_refused(system, access)


async def test_nobody_learns_whether_a_login_exists(system: System) -> None:
    await add_user(system)
    wrong = await system.http.post(LOGIN, json={"login": "ada", "password": "x"})
    unknown = await system.http.post(LOGIN, json={"login": "bob", "password": "x"})
    strip = ("request_id",)
    assert {k: v for k, v in wrong.json().items() if k not in strip} == {
        k: v for k, v in unknown.json().items() if k not in strip
    }
    assert wrong.json()["code"] == "wrong-password"


@pytest.mark.proves("S-6a")
async def test_too_many_attempts_have_to_wait(system: System) -> None:
    await add_user(system)
    for _ in range(5):
        answer = await system.http.post(LOGIN, json={"login": "ada", "password": "x"})
        assert answer.status_code == 401
    for password in ("x", PASSWORD):
        spoof = {"X-Forwarded-For": "198.51.100.1"}
        answer = await system.http.post(
            LOGIN, json={"login": " Ada", "password": password}, headers=spoof
        )
        assert (answer.status_code, answer.json()["code"]) == (429, "too-many-attempts")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
    await add_user(system, "bob")
    await log_in(system, "bob")
