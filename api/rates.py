"""How often one may ask: counted for each caller, and for each address that does not say who.

Each process counts for itself: with two of them behind one address, a caller may ask twice as
often at most.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import OPEN, caller_of
from api.deps import Deps
from api.problems import too_many
from domain.errors import TaskloomError
from domain.identity import UserRole

Asking = UserRole | Literal["nobody"]
"""Whose rate it is; ``nobody`` has not said who they are, and is counted by address."""


UNLIMITED: Final = "unlimited"


class RateLimits:
    """Refuses who asks too often, and tells the others how often they still may."""

    def __init__(self, app: ASGIApp, *, deps: Deps) -> None:
        self._app = app
        self._deps = deps
        self._rates: Mapping[str, RateLimitItem] = {
            asking: parse(rate) for asking, rate in deps.rates.items() if rate != UNLIMITED
        }
        self._storage = MemoryStorage()
        self._limiter = FixedWindowRateLimiter(self._storage)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the app do so."""
        if not self._rates or scope["type"] != "http" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        asking, name = await self._who(scope)
        rate = self._rates.get(asking)
        if rate is None:
            await self._app(scope, receive, send)
            return
        is_within = await self._limiter.hit(rate, asking, name)
        stats = await self._limiter.get_window_stats(rate, asking, name)
        left = max(0, stats.remaining)
        wait = max(1, math.ceil(stats.reset_time - datetime.now(UTC).timestamp()))
        policy = f'"{asking}";q={rate.amount};w={rate.get_expiry()}'

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                _beside(headers, "RateLimit-Policy", policy)
                _beside(headers, "RateLimit", f'"{asking}";r={left};t={wait}')
                headers.setdefault("X-RateLimit-Limit", str(rate.amount))
                headers.setdefault("X-RateLimit-Remaining", str(left))
                headers.setdefault("X-RateLimit-Reset", str(math.ceil(stats.reset_time)))
            await send(message)

        if is_within:
            await self._app(scope, receive, counted)
            return
        answer = too_many(
            "rate-limited",
            f"{rate.amount} requests are allowed in {rate.get_expiry()} s; ask again in {wait} s",
            limit=rate.amount,
            current=await self._storage.get(rate.key_for(asking, name)),
            reset_at=stats.reset_time,
            retry_after=wait,
        )
        await answer(scope, receive, counted)

    async def _who(self, scope: Scope) -> tuple[Asking, str]:
        request = Request(scope)
        try:
            caller = await caller_of(request)
        except TaskloomError:
            # Who they are is refused where it is asked for; here it only counts that they asked.
            return "nobody", request.client.host if request.client else ""
        return caller.role, caller.subject


def _beside(headers: MutableHeaders, name: str, value: str) -> None:
    """Say something beside what the route has said of another limit."""
    said = headers.get(name)
    headers[name] = value if said is None else f"{said}, {value}"
