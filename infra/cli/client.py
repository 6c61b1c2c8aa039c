"""The HTTP API, as the verbs use it."""

import asyncio
from collections.abc import Mapping
from typing import Any, Self, cast

import httpx2

from domain.errors import Conflict, NotFound, Refused, Unavailable

BASE = "/api/v1"
TIMEOUT = 30.0
"""Seconds for one answer."""


class ApiUnreachable(Unavailable):
    """Nobody answers where the API should be."""

    code = "api-unreachable"

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"no API answers at {url} ({why}); start a stack with `taskloom up`")


class Client:
    """Asks the API, and turns its problems into our errors."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx2.AsyncClient(
            base_url=url, timeout=TIMEOUT, trust_env=False, headers=headers
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, path: str, **query: str | int | None) -> Any:
        """Return what the API answers.

        Raises:
            TaskloomError: It refuses, or does not answer.
        """
        params = {name: str(value) for name, value in query.items() if value is not None}
        return await self._ask("GET", path, params=params)

    async def post(
        self, path: str, body: Mapping[str, Any], *, patience: float = 0.0, key: str | None = None
    ) -> Any:
        """Return what the API answers; for ``patience`` seconds, wait for it to be there.

        Raises:
            TaskloomError: It refuses, or does not answer.
        """
        headers = {"Idempotency-Key": key} if key else {}
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            try:
                return await self._ask("POST", path, json=body, headers=headers)
            except Unavailable:
                # Said again with the same key, it is done once.
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(0.05)

    async def text(self, path: str) -> str:
        """Return what the API answers where it is no JSON.

        Raises:
            TaskloomError: It refuses, or does not answer.
        """
        return (await self._answer("GET", path)).text

    async def delete(self, path: str, **query: str) -> Any:
        """Return what the API answers.

        Raises:
            TaskloomError: It refuses, or does not answer.
        """
        return await self._ask("DELETE", path, params=query)

    async def _ask(self, method: str, path: str, **rest: Any) -> Any:
        return (await self._answer(method, path, **rest)).json()

    async def _answer(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        try:
            answer = await self._http.request(method, f"{BASE}{path}", **rest)
        except httpx2.TransportError as error:
            raise ApiUnreachable(self.url, type(error).__name__) from error
        if answer.is_success:
            return answer
        raise _problem(answer)


def _problem(answer: httpx2.Response) -> Exception:
    detail = f"the API answers {answer.status_code}"
    try:
        problem = cast("dict[str, Any]", answer.json())
        detail = str(problem.get("detail") or problem.get("title") or detail)
    except (ValueError, AttributeError):
        pass
    match answer.status_code:
        case 404:
            return NotFound(detail)
        case 409 | 412:
            return Conflict(detail)
        case 401:
            return Refused(
                f"{detail}; the verbs show TASKLOOM_TOKEN, or the key of the stack that runs here"
            )
        case 429 | 502 | 503 | 504:
            return Unavailable(detail)
        case status if status >= 500:
            return RuntimeError(detail)
        case _:
            return Refused(detail)


async def answers(url: str) -> bool:
    """Say whether a URL answers with success."""
    async with httpx2.AsyncClient(timeout=2.0, trust_env=False) as http:
        try:
            return (await http.get(url)).is_success
        except httpx2.TransportError:
            return False
