"""People who sign in, and what is told to them."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx2

from tests.api.conftest import System

ME = "/api/v1/auth/me"
LOGIN = "/api/v1/auth/login"
REFRESH = "/api/v1/auth/refresh"
PASSWORD = "correct horse battery"


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


COUNTS = 4.0
"""Seconds that what was revoked may go on counting: two, and as many on a busy machine."""


async def until_refused(system: System, token: str) -> None:
    """Wait until a token counts no more, which has to be soon."""
    deadline = asyncio.get_running_loop().time() + COUNTS
    while await status(system, token) != 401:
        assert asyncio.get_running_loop().time() < deadline, "it still counts"
        await asyncio.sleep(0.05)
