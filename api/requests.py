"""Gives every request a name, and every answer what browsers and readers of logs rely on."""

import re
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.deprecation import said_of
from api.deps import Deps
from api.problems import REQUEST, unexpected

REQUEST_ID: Final = "X-Request-ID"
"""The header that names a request: whoever asks may give the name, every answer repeats it."""

_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # What is told is told to one caller, and may be old a moment later.
    "Cache-Control": "no-cache, private",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_SAFE: Final = {"Strict-Transport-Security": "max-age=31536000"}
"""What is said beside, where the request came over TLS."""


class NamedRequests:
    """Names requests, and answers for the app where it fails in a way that nobody foresaw."""

    def __init__(self, app: ASGIApp, *, deps: Deps) -> None:
        self._app = app
        self._new_id = deps.new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        name = given if _NAME.fullmatch(given) else self._new_id()
        is_answered = False
        usual = _ALWAYS | (_SAFE if scope["scheme"] == "https" else {})

        async def named(message: Message) -> None:
            nonlocal is_answered
            if message["type"] == "http.response.start":
                is_answered = True
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = name
                for header, value in usual.items():
                    headers.setdefault(header, value)
                for header, value in said_of(scope):
                    headers.append(header, value)
            await send(message)

        token = REQUEST.set(name)
        try:
            with structlog.contextvars.bound_contextvars(request_id=name):
                try:
                    await self._app(scope, receive, named)
                except Exception as error:
                    answer = unexpected(scope["path"], error)
                    if is_answered:
                        raise
                    await answer(scope, receive, named)
        finally:
            REQUEST.reset(token)
