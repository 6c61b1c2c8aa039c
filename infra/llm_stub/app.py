"""The stub as an ASGI app: answers, faults, and its own account of what was used."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from infra.llm_stub.answering import Heard, Json, Said, said
from infra.llm_stub.protocols import (
    NOTE,
    anthropic_answer,
    anthropic_stream,
    error_body,
    hear_anthropic,
    hear_openai,
    openai_answer,
    openai_stream,
)
from infra.llm_stub.scenario import Rule, Scenario, Script

_REFUSALS: Final = {"429": 429, "503": 503, "500": 500, "401": 401}
_LONG: Final = 3_600.0

Stream = Callable[[Heard, Said, int], Iterator[str]]
Whole = Callable[[Heard, Said, int], Json]


class Cut(Exception):
    """The connection ends here, on purpose."""


class Stub:
    """A stub, its script and its account."""

    def __init__(self, played: Scenario, *, remember: int = 1_000) -> None:
        """Play a scenario; of requests, so many are remembered for whoever asks."""
        self._script = Script(played)
        self._remember = remember
        self.requests = 0
        self.by_provider: dict[str, Counter[str]] = {}
        self.heard: list[Heard] = []

    def app(self) -> Starlette:
        """Return the app."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self._openai, methods=["POST"]),
                Route("/v1/messages", self._anthropic, methods=["POST"]),
                Route("/stub/usage", self._usage, methods=["GET"]),
            ]
        )

    def usage(self) -> Json:
        """Return what was asked and what was charged for it, by provider and in all."""
        names = ("requests", "answered", "refused", "broken", "input_tokens", "output_tokens")
        rows = {
            provider: {name: counted[name] for name in names}
            for provider, counted in sorted(self.by_provider.items())
        }
        total = {name: sum(row[name] for row in rows.values()) for name in names}
        return {"note": NOTE, "by_provider": rows, "total": total}

    async def _openai(self, request: Request) -> Response:
        heard = hear_openai(await request.json())
        return await self._answer(request, heard, openai_answer, openai_stream)

    async def _anthropic(self, request: Request) -> Response:
        heard = hear_anthropic(await request.json())
        return await self._answer(request, heard, anthropic_answer, anthropic_stream)

    async def _usage(self, _: Request) -> Response:
        return JSONResponse(self.usage())

    async def _answer(
        self, request: Request, heard: Heard, whole: Whole, stream: Stream
    ) -> Response:
        self.requests += 1
        self.heard = [*self.heard, heard][-self._remember :]
        counted = self.by_provider.setdefault(heard.provider, Counter())
        counted["requests"] += 1
        rule = self._script.next(provider=heard.provider, tool=heard.tool, text=heard.text)
        await asyncio.sleep(rule.delay)
        if rule.fault in _REFUSALS:
            counted["refused"] += 1
            return _refusal(request, heard, rule)
        if rule.fault == "stall":
            counted["broken"] += 1
            await _until_gone(request)
            return Response(status_code=499)
        if rule.fault == "garbage":
            counted["broken"] += 1
            return Response(b"{]", media_type="application/json")
        answer = said(heard, rule)
        number = self.requests
        if rule.fault == "cut":
            counted["broken"] += 1
            text = "".join(stream(heard, answer, number)) if heard.is_streamed else "{" * 64
            return StreamingResponse(_half(text), media_type="text/event-stream")
        counted["answered"] += 1
        counted["input_tokens"] += answer.input_tokens
        counted["output_tokens"] += answer.output_tokens
        if heard.is_streamed:
            parts = _each(stream(heard, answer, number))
            return StreamingResponse(parts, media_type="text/event-stream")
        return JSONResponse(whole(heard, answer, number))


def _refusal(request: Request, heard: Heard, rule: Rule) -> Response:
    status = _REFUSALS[str(rule.fault)]
    headers: dict[str, str] = {}
    if rule.retry_after is not None:
        headers["Retry-After"] = f"{rule.retry_after:g}"
    # Providers repeat a wrong key in what they say; whoever logs that has told it.
    key = request.headers.get("authorization", request.headers.get("x-api-key", ""))
    message = f"the stub refuses: {rule.fault}"
    if status == 401:
        message = f"Incorrect API key provided: {key.removeprefix('Bearer ')}"
    body: dict[str, Any] = error_body(heard.provider, status, message)
    return JSONResponse(body, status_code=status, headers=headers)


async def _until_gone(request: Request) -> None:
    for _ in range(int(_LONG / 0.05)):
        if await request.is_disconnected():
            return
        await asyncio.sleep(0.05)


async def _each(parts: Iterable[str]) -> AsyncIterator[str]:
    for part in parts:
        yield part


async def _half(text: str) -> AsyncIterator[str]:
    yield text[: len(text) // 2]
    await asyncio.sleep(0.02)
    raise Cut
