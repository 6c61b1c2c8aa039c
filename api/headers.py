"""Looks at what comes before a body: refuses heads that two servers would read differently.

What no body may hold, no path and no query may either: PostgreSQL has no place for U+0000.
"""

from collections import Counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import BadHead, HeadTooLarge
from api.problems import problem_of
from bus.refusals import InvalidUnicode
from domain.errors import Refused

MOST_HEADERS: Final = 100
MOST_HEADER_BYTES: Final = 32 * 1024
"""Of all names and values together."""

_ONCE: Final = (b"content-length", b"content-type", b"host", b"transfer-encoding")


class SaneHeads:
    """Refuses heads that are too large, or that say twice how long a body is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the app do so."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            _check(scope)
        except Refused as refusal:
            await problem_of(refusal)(scope, receive, _closing(send))
            return
        await self._app(scope, receive, send)


def _check(scope: Scope) -> None:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if len(headers) > MOST_HEADERS:
        raise HeadTooLarge(f"the request has {len(headers)} headers; at most {MOST_HEADERS} may be")
    size = sum(len(name) + len(value) for name, value in headers)
    size += len(scope.get("raw_path") or b"") + len(scope["query_string"])
    if size > MOST_HEADER_BYTES:
        raise HeadTooLarge(f"path and headers have {size} bytes; at most {MOST_HEADER_BYTES}")
    if "\0" in scope["path"] or b"%00" in scope["query_string"] or b"\0" in scope["query_string"]:
        raise InvalidUnicode("the path or the query holds U+0000, which is no character")
    counts = Counter(name for name, _ in headers)
    if counts[b"content-length"] and counts[b"transfer-encoding"]:
        raise BadHead("the request says with Content-Length and Transfer-Encoding how long it is")
    if twice := next((name for name in _ONCE if counts[name] > 1), None):
        raise BadHead(f"the request has the header {twice.decode()} more than once")


def _closing(send: Send) -> Send:
    """Let an answer end its connection: what follows on it may be anything."""

    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"connection", b"close")]
        await send(message)

    return closing
