"""Whose page asks: browsers say so, and what a page of somebody else's would do is refused.

Nothing of ours rests on what a browser sends by itself, like a cookie. Where something in front of
us signs people in, a page of somebody else's could still ask in their name.
"""

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import ForeignOrigin
from api.problems import problem_of

_HARMLESS: Final = ("GET", "HEAD", "OPTIONS")
_OURS: Final = ("same-origin", "none")


def foreign(headers: Headers, allowed: Collection[str]) -> str | None:
    """Return the origin of the page that asks where it is neither ours nor allowed."""
    origin = headers.get("origin")
    if origin in allowed or "*" in allowed:
        return None
    # What browsers say of the site is right behind any proxy; older ones name the origin alone.
    site = headers.get("sec-fetch-site")
    if site is not None:
        return None if site in _OURS else origin or site
    if origin is None or urlsplit(origin).netloc == headers.get("host"):
        return None
    return origin


class OwnPages:
    """Refuses what pages of others would change."""

    def __init__(self, app: ASGIApp, *, allowed: Collection[str]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the app do so."""
        if scope["type"] != "http" or scope["method"] in _HARMLESS:
            await self._app(scope, receive, send)
        elif origin := foreign(Headers(scope=scope), self._allowed):
            await problem_of(ForeignOrigin(origin))(scope, receive, send)
        else:
            await self._app(scope, receive, send)
