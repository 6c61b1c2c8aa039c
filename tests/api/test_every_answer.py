"""What all answers have in common: a name, headers for browsers, compression, and a rate."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.requests import HTTPConnection

from api.app import create_app
from api.deps import Deps
from api.errors import NotAllowed
from api.identity.ports import Identity
from domain.identity import PERMISSIONS, Caller
from infra.processes.api import served
from infra.settings_of_api import Http, Rates
from tests.api.conftest import System, app_alone

LIVE = "/livez"
LOST = "/api/v1/nothing"
SAID = "https://console.example"


def client(app: FastAPI, **more: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app, raise_app_exceptions=False, **more),
        base_url="http://taskloom",
    )


def deps(**changes: Any) -> Deps:
    known: Deps = app_alone().state.deps
    return replace(known, **changes)


async def test_a_request_is_named_by_who_asks_and_the_answer_repeats_it(
    front: httpx2.AsyncClient,
) -> None:
    named = await front.get(LOST, headers={"X-Request-ID": "order-66"})
    assert named.headers["x-request-id"] == named.json()["request_id"] == "order-66"
    unnamed = await front.get(LOST)
    assert unnamed.headers["x-request-id"] == unnamed.json()["request_id"]


@pytest.mark.proves("S-10d")
@pytest.mark.parametrize("name", ["a b", "x" * 65, "ä", "<script>"])
async def test_a_name_that_could_confuse_a_log_is_replaced(
    front: httpx2.AsyncClient, name: str
) -> None:
    answer = await front.get(LIVE, headers=[(b"X-Request-ID", name.encode())])
    assert answer.headers["x-request-id"] == "1"  # as the app draws ids here


@pytest.mark.proves("S-18c", "H-20")
async def test_what_nobody_foresaw_is_answered_as_a_problem_with_its_name() -> None:
    app = create_app(deps())

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError("a secret of ours")

    async with client(app) as http:
        answer = await http.get("/broken", headers={"X-Request-ID": "r1"})
    assert (answer.status_code, answer.json()["code"]) == (500, "unexpected")
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "r1"
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", [LIVE, LOST, "/api/v1/plans?limit=0", "/api/v1/openapi.json"])
async def test_every_answer_tells_browsers_to_do_nothing_with_it(
    front: httpx2.AsyncClient, path: str
) -> None:
    headers = (await front.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["cache-control"] == "no-cache, private"
    assert "strict-transport-security" not in headers


async def test_over_tls_browsers_are_told_to_stay_there() -> None:
    async with client(app_alone()) as http:
        answer = await http.get("https://taskloom/livez")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_large_answers_are_compressed_for_those_who_understand_it(
    front: httpx2.AsyncClient,
) -> None:
    path = "/api/v1/openapi.json"
    large = await front.get(path, headers={"Accept-Encoding": "gzip"})
    assert large.headers["content-encoding"] == "gzip"
    assert large.headers["vary"] == "Accept-Encoding"
    plain = await front.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == large.json()
    small = await front.get(LIVE, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers


@pytest.mark.proves("S-8a")
async def test_pages_of_other_origins_may_ask_where_they_are_named() -> None:
    asked = {
        "Origin": SAID,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, if-match",
    }
    async with client(app_alone()) as http:
        refused = await http.options("/api/v1/plans/create", headers=asked)
        assert "access-control-allow-origin" not in refused.headers
    async with client(create_app(deps(origins=[SAID]))) as http:
        granted = await http.options("/api/v1/plans/create", headers=asked)
        assert granted.status_code == 200
        assert granted.headers["access-control-allow-origin"] == SAID
        assert granted.headers["access-control-allow-credentials"] == "true"
        answer = await http.get(LIVE, headers={"Origin": SAID})
        assert "Taskloom-Position" in answer.headers["access-control-expose-headers"]
        other = await http.get(LIVE, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.proves("S-8d")
async def test_where_any_origin_may_ask_none_may_bring_credentials() -> None:
    async with client(create_app(deps(origins=["*"]))) as http:
        answer = await http.get(LIVE, headers={"Origin": SAID, "Cookie": "session=1"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


async def by_header(request: HTTPConnection) -> Caller:
    """Take a caller's word for who they are, and their role."""
    role, _, subject = request.headers.get("x-who", "admin/root").partition("/")
    assert role in ("user", "admin")
    return Caller(subject=subject, role=role, permissions=PERMISSIONS[role])  # type: ignore[arg-type, index] # as asserted


def trusting(identity: Identity) -> Identity:
    """Return an identity that takes every caller's word."""
    return replace(identity, identify=by_header)


@pytest.fixture
async def counted(system: System) -> AsyncIterator[httpx2.AsyncClient]:
    rates = Rates(user="3/hour", nobody="2/hour").model_dump()
    limited = replace(system.deps, identity=trusting(system.deps.identity), rates=rates)
    async with client(create_app(limited)) as http:
        yield http


async def test_who_asks_too_often_is_told_when_to_come_back(counted: httpx2.AsyncClient) -> None:
    def ask(who: str) -> Any:
        return counted.get("/api/v1/plans", headers={"X-Who": who})

    first = await ask("user/ann")
    assert first.status_code == 200
    assert first.headers["ratelimit-policy"] == '"user";q=3;w=3600'
    assert first.headers["ratelimit"].startswith('"user";r=2;t=')
    await ask("user/ann")
    await ask("user/ann")
    refused = await ask("user/ann")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate-limited")
    assert refused.json()["limit"] == 3
    assert 0 < int(refused.headers["retry-after"]) == refused.json()["retry_after"] <= 3600
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert (await ask("user/bob")).status_code == 200  # others are not held back by it
    for _ in range(5):
        admin = await ask("admin/root")
    assert admin.status_code == 200
    assert "ratelimit" not in admin.headers
    assert (await counted.get(LIVE, headers={"X-Who": "user/ann"})).status_code == 200


@pytest.mark.proves("S-7a")
async def test_an_address_that_does_not_say_who_asks_is_counted_whatever_it_claims() -> None:
    async def nobody(request: HTTPConnection) -> Caller:
        raise NotAllowed("plan:read")

    identity = replace(deps().identity, identify=nobody)
    limited = deps(identity=identity, rates={"nobody": "2/hour"})
    app = create_app(limited)
    for number in range(3):
        headers = {"X-Forwarded-For": f"198.51.100.{number}"}
        async with client(app, client=("192.0.2.7", number)) as http:
            answer = await http.get("/api/v1/plans", headers=headers)
    assert answer.status_code == 429
    async with client(app, client=("192.0.2.8", 1)) as http:
        assert (await http.get("/api/v1/plans")).status_code != 429


@pytest.mark.proves("S-7a")
def test_only_named_proxies_are_believed() -> None:
    assert not served(app_alone(), Http()).proxy_headers
    named = served(app_alone(), Http.model_validate({"trusted_proxies": ["10.0.0.0/8"]}))
    assert named.proxy_headers
    assert named.forwarded_allow_ips == ["10.0.0.0/8"]
