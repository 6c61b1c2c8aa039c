"""Who asks: credentials, roles, and what is told to those who should not know."""

import json
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.identity.tokens import Tokens
from tests.api.conftest import System
from tests.api.people import LOGIN, ME, PASSWORD, acts, add_user, bearer, log_in, status
from tests.api.test_registration import everything


async def test_without_credentials_nothing_is_told(system: System) -> None:
    async with httpx2.AsyncClient(
        transport=system.http._transport, base_url="http://taskloom"
    ) as stranger:
        for path in ("/api/v1/plans", "/api/v1/status", ME):
            answer = await stranger.get(path)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
            assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.proves("S-1a")
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer x", "X-API-Key": "tl_00000000_x"},
        {"X-API-Key": "tl_00000000_" + "x" * 43},
        {"X-API-Key": "tl_\x7f"},
        {"Authorization": "Bearer " + "x" * 5_000},
    ],
    ids=["basic", "nothing", "two", "unknown-key", "no-key", "long"],
)
async def test_odd_credentials_are_none(system: System, headers: dict[str, str]) -> None:
    del system.http.headers["authorization"]
    answer = await system.http.get(ME, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


@pytest.mark.proves("S-1a")
async def test_who_forges_a_token_is_in_the_audit_trail_and_who_is_late_is_not(
    system: System,
) -> None:
    tokens = system.deps.identity.tokens
    for signer, age in ((Tokens([Ed25519PrivateKey.generate()]), 0), (tokens, 1)):
        token = signer.issue(
            "at+jwt",
            "usr_local",
            "ses_1",
            token_id="1",
            now=datetime.now(UTC) - timedelta(days=age),
            lifetime=timedelta(minutes=15),
        )
        assert await status(system, token) == 401
    assert (await acts(system)).count(("identity.forged", "refused")) == 1


async def test_users_are_for_admins(system: System) -> None:
    user_id = await add_user(system)
    mine = bearer((await log_in(system))["access_token"])
    for method, path in (
        ("GET", "/api/v1/users"),
        ("POST", "/api/v1/users"),
        ("GET", f"/api/v1/users/{user_id}"),
        ("PATCH", f"/api/v1/users/{user_id}"),
    ):
        body = {"login": "eve", "password": PASSWORD, "role": "admin"} if method == "POST" else None
        answer = await system.http.request(method, path, json=body, headers=mine)
        assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")
    assert ("access.denied", "refused") in await acts(system)
    listed = (await system.http.get("/api/v1/users")).json()
    assert [user["login"] for user in listed["users"]] == ["ada", "local"]
    assert "password" not in json.dumps(listed)


async def test_nobody_gives_themselves_what_they_may_not_have(system: System) -> None:
    await add_user(system)
    mine = bearer((await log_in(system))["access_token"])
    for body in (
        {"name": "k", "service": "billing"},
        {"name": "k", "scopes": ["user:manage"]},
        {"name": "k", "role": "admin"},
        {"name": "k", "owner": "usr_local"},
        {"name": "k", "expires_in_days": 400},
    ):
        answer = await system.http.post("/api/v1/keys", json=body, headers=mine)
        assert answer.status_code == 422, body
    for body in ({"role": "user"}, {"is_active": False}, {"password": PASSWORD}):
        own = await system.http.patch("/api/v1/users/usr_local", json=body)
        assert (own.status_code, own.json()["code"]) == (409, "own-account"), body
    flag = await system.http.patch("/api/v1/users/usr_local", json={"is_active": 0})
    assert (flag.status_code, flag.json()["code"]) == (422, "invalid")
    taken = await system.http.post("/api/v1/users", json={"login": "ADA", "password": PASSWORD})
    assert (taken.status_code, taken.json()["code"]) == (409, "login-taken")


@pytest.mark.proves("S-18b")
async def test_secrets_are_kept_as_digests_only(system: System) -> None:
    user_id = await add_user(system)
    tokens = await log_in(system)
    made = (await system.http.post("/api/v1/keys", json={"name": "k"})).json()
    ticket = (await system.http.post("/api/v1/tickets")).json()["ticket"]
    key_id, _, key = made["key"].removeprefix("tl_").partition("_")
    kept = await everything(system.pool)
    assert user_id in kept
    assert key_id in kept
    for secret in (PASSWORD, tokens["refresh_token"], tokens["access_token"], key, ticket):
        assert secret not in kept
        assert secret.encode().hex() not in kept, "as PostgreSQL shows bytes"


@pytest.mark.proves("S-18b")
async def test_what_was_typed_as_a_login_is_not_written_down(system: System) -> None:
    user_id = await add_user(system)
    for login in ("ada", "my-own-pass-word"):
        await system.http.post(LOGIN, json={"login": login, "password": "x"})
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    noted = await system.deps.streams.read(f"audit:{day}")
    refused = [
        (each.actor, getattr(each.event, "subject"))  # noqa: B009
        for each in noted
        if getattr(each.event, "outcome") == "refused"  # noqa: B009
    ]
    assert refused == [(f"users/{user_id}", user_id), ("nobody", "an unknown login")]
