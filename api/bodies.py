"""Looks at request bodies before anybody acts on them: size, media type, strict JSON.

What is refused here would be understood differently by two readers, or would bring one down.
"""

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem_of
from bus.refusals import NotAnObject, TooLarge, UnsupportedMediaType
from bus.strict_json import MAX_BYTES, loads_strict
from domain.errors import Refused

MAX_GRAPH_BYTES = 16 * 1024 * 1024
LARGER = {"/api/v1/plans/create": MAX_GRAPH_BYTES}
"""Paths whose bodies may be larger than others: a plan may come with its graph."""


class StrictBodies:
    """Refuses bodies that are too large or not strict JSON, and passes the others on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the app do so."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        try:
            body = await _read(scope, receive)
            _check(scope, body)
        except Refused as refusal:
            await problem_of(refusal)(scope, receive, send)
            return
        except ClientDisconnect:
            return
        await self._app(scope, _replay(body, receive), send)


async def _read(scope: Scope, receive: Receive) -> bytes:
    limit = LARGER.get(scope["path"], MAX_BYTES)
    # Counted while it arrives: Content-Length may be absent, or wrong.
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"the body has more than {limit} bytes")
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _check(scope: Scope, body: bytes) -> None:
    if not body:
        return
    headers = Headers(scope=scope)
    media_type, _, parameters = headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != "application/json":
        raise UnsupportedMediaType(f"send application/json, not {media_type.strip() or 'nothing'}")
    if parameters and parameters.strip().lower() not in ("charset=utf-8", 'charset="utf-8"'):
        raise UnsupportedMediaType(f"send JSON in UTF-8, not with {parameters.strip()}")
    if headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMediaType("send the body uncompressed")
    if loads_strict(body, max_bytes=len(body)) is None:
        raise NotAnObject("the body is null; send an object, or nothing where it may be left out")


def _replay(body: bytes, receive: Receive) -> Receive:
    is_read = False

    async def replay() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
