"""What goes away one day says so in every answer: since when, until when, and what to use instead.

RFC 9745 (``Deprecation``) and RFC 8594 (``Sunset``).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final, cast

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from starlette.types import Scope

_SAID: Final = "taskloom.deprecation"


class Deprecated:
    """Lets a route say that it goes away."""

    def __init__(self, since: datetime, sunset: datetime | None, link: str) -> None:
        headers = [("Deprecation", f"@{since.timestamp():.0f}")]
        if sunset is not None:
            headers.append(("Sunset", format_datetime(sunset.astimezone(UTC), usegmt=True)))
        headers.append(("Link", f'<{link}>; rel="deprecation"; type="text/html"'))
        self.headers: Sequence[tuple[str, str]] = headers

    async def __call__(self, request: Request) -> None:
        """Have the answer say so, whatever it is."""
        request.scope[_SAID] = self.headers


def deprecated(*, since: datetime, sunset: datetime | None = None, link: str) -> Any:
    """Return what a route declares before all else that goes away.

    ``link`` is where it is written what to use instead.
    """
    return Depends(Deprecated(since, sunset, link))


def is_deprecated(route: APIRoute) -> bool:
    """Return whether a route goes away."""
    return any(isinstance(each.call, Deprecated) for each in route.dependant.dependencies)


def said_of(scope: Scope) -> Sequence[tuple[str, str]]:
    """Return the headers with which an answer says that what was asked goes away."""
    return cast("Sequence[tuple[str, str]]", scope.get(_SAID, ()))
