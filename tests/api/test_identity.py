"""Who asks: tokens, sessions, keys, roles, and what is told to those who should not know."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.app import create_app
from api.identity.tokens import AUDIENCES, Tokens, kid_of
from infra.store.accounts import GRACE
from tests.api.conftest import System

ME = "/api/v1/auth/me"
LOGIN = "/api/v1/auth/login"
REFRESH = "/api/v1/auth/refresh"
PASSWORD = "correct horse battery"
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def add_user(system: System, login: str = "ada", **changes: Any) -> str:
    body = {"login": login, "password": PASSWORD} | changes
    answer = await system.http.post("/api/v1/users", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["user_id"])


async def log_in(system: System, login: str = "ada", password: str = PASSWORD) -> dict[str, Any]:
    answer = await system.http.post(LOGIN, json={"login": login, "password": password})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


async def status(system: System, token: str) -> int:
    return (await system.http.get(ME, headers=bearer(token))).status_code


async def refresh(system: System, token: str, agent: str = "test") -> httpx2.Response:
    return await system.http.post(
        REFRESH, json={"refresh_token": token}, headers={"User-Agent": agent}
    )


async def acts(system: System) -> list[tuple[str, str]]:
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    noted = await system.deps.streams.read(f"audit:{day}")
    return [(getattr(each.event, "act"), getattr(each.event, "outcome")) for each in noted]  # noqa: B009


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


# -- tokens (S-1) ----------------------------------------------------------------------


def claims(**changes: Any) -> dict[str, Any]:
    said = {
        "iss": "taskloom",
        "aud": AUDIENCES["at+jwt"],
        "sub": "usr_1",
        "sid": "ses_1",
        "jti": "1",
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + timedelta(minutes=15),
    }
    return {name: value for name, value in (said | changes).items() if value is not None}


def signed_by_us(
    key: Ed25519PrivateKey, header: Mapping[str, Any] | None = None, **changes: Any
) -> str:
    said = {"typ": "at+jwt", "kid": kid_of(key.public_key())} | dict(header or {})
    return jwt.encode(claims(**changes), key, "EdDSA", said)


def by_hand(header: Mapping[str, Any], key: bytes = b"") -> str:
    """Return a token that no library of ours would make."""

    def part(what: object) -> str:
        raw = json.dumps(what, default=lambda moment: int(moment.timestamp())).encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    signed = f"{part(header)}.{part(claims())}"
    signature = hmac.digest(key, signed.encode(), hashlib.sha256) if key else b""
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


KEY = Ed25519PrivateKey.generate()
KID = kid_of(KEY.public_key())
RAW = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
FORGED = {
    "alg none": by_hand({"alg": "none", "typ": "at+jwt", "kid": KID}),
    "hmac with the public key": by_hand({"alg": "HS256", "typ": "at+jwt", "kid": KID}, RAW),
    "hmac with its pem": by_hand({"alg": "HS256", "typ": "at+jwt", "kid": KID}, PEM),
    "another key": signed_by_us(Ed25519PrivateKey.generate(), {"kid": KID}),
    "an unknown kid": signed_by_us(Ed25519PrivateKey.generate()),
    "a jku": signed_by_us(KEY, {"jku": "https://evil.example/keys"}),
    "a jwk": signed_by_us(KEY, {"jwk": {"kty": "OKP"}}),
    "an x5u": signed_by_us(KEY, {"x5u": "https://evil.example/cert"}),
    "crit": signed_by_us(KEY, {"crit": ["exp"]}),
    "another typ": signed_by_us(KEY, {"typ": "JWT"}),
    "an agent's typ": signed_by_us(KEY, {"typ": "agent+jwt"}),
    "another audience": signed_by_us(KEY, aud="others"),
    "another issuer": signed_by_us(KEY, iss="others"),
    "no subject": signed_by_us(KEY, sub=None),
    "no session": signed_by_us(KEY, sid=None),
    "no expiry": signed_by_us(KEY, exp=None),
    "expired": signed_by_us(KEY, exp=NOW - timedelta(seconds=6)),
    "not yet": signed_by_us(KEY, nbf=NOW + timedelta(seconds=6)),
    "for ever": signed_by_us(KEY, exp=10**300),
    "cut": signed_by_us(KEY)[:-4],
    "a megabyte": "x" * 1_000_000,
    "two parts": "a.b",
    "nothing": "",
}


@pytest.mark.proves("S-1a")
@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
def test_a_token_that_is_not_ours_is_none(token: str) -> None:
    from api.identity.tokens import BadToken

    with pytest.raises(BadToken):
        Tokens([KEY]).read(token, now=NOW)


def test_a_token_of_ours_counts_until_it_expires() -> None:
    token = signed_by_us(KEY)
    assert Tokens([KEY]).read(token, now=NOW).subject == "usr_1"
    later = Ed25519PrivateKey.generate()
    # A key that signed before is still known.
    assert Tokens([later, KEY]).read(token, now=NOW + timedelta(minutes=15)).session == "ses_1"


@pytest.mark.proves("S-1b")
async def test_a_refresh_token_is_no_access_token(system: System) -> None:
    await add_user(system)
    tokens = await log_in(system)
    assert await status(system, tokens["refresh_token"]) == 401
    assert (await refresh(system, tokens["access_token"])).status_code in (401, 422)


# -- sessions (S-2, S-3) ---------------------------------------------------------------


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


async def until_refused(system: System, token: str) -> None:
    """Wait until a token counts no more; what was true a second ago may be believed for so long."""
    from asyncio import get_running_loop, sleep

    deadline = get_running_loop().time() + 10
    while await status(system, token) != 401:
        assert get_running_loop().time() < deadline, "it still counts"
        await sleep(0.05)


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
    await until_refused(system, access)
    assert (await refresh(system, tokens["refresh_token"])).status_code == 401


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


@pytest.mark.proves("S-6b")
async def test_wrong_keys_have_to_wait_as_well(system: System) -> None:
    seen = set()
    for number in range(70):
        key = f"tl_{number:08x}_" + "x" * 43
        answer = await system.http.get(ME, headers={"Authorization": f"Bearer {key}"})
        seen.add(answer.status_code)
    assert seen == {401, 429}
    assert (await system.http.get(ME)).status_code == 200, "who is known is not held back"


# -- users and keys --------------------------------------------------------------------


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
    from asyncio import get_running_loop, sleep

    deadline = get_running_loop().time() + 10
    while (await system.http.get(ME, headers=key)).status_code != 401:
        assert get_running_loop().time() < deadline, "it still counts"
        await sleep(0.05)


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


@pytest.mark.proves("S-18b")
async def test_secrets_are_kept_as_digests_only(system: System) -> None:
    await add_user(system)
    tokens = await log_in(system)
    made = (await system.http.post("/api/v1/keys", json={"name": "k"})).json()
    secrets = (PASSWORD, tokens["refresh_token"], made["key"].rpartition("_")[2])
    async with system.pool.connection() as connection:
        for table in ("users", "sessions", "refresh_tokens", "keys"):
            cursor = await connection.execute(f"select t::text from identity.{table} t".encode())
            for (row,) in await cursor.fetchall():
                assert not any(secret in row for secret in secrets)
        cursor = await connection.execute("select convert_from(state, 'utf8') from events")
        for (row,) in await cursor.fetchall():
            assert not any(secret in row for secret in secrets)


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
