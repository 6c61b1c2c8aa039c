"""Asked twice, done once: a key stands for one question of one caller.

What a command is recorded as is derived from the key, so that asking again does no harm. Here it is
seen that the question is the same, too; what was refused has led to nothing, and frees its key.
"""

import hashlib
from typing import Final
from urllib.parse import parse_qsl, urlencode

import orjson
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access import caller_of
from api.deps import Keys
from api.errors import KeyReused
from api.problems import problem_of
from domain.errors import TaskloomError

LONGEST_KEY: Final = 200
_COMMANDS: Final = ("POST", "DELETE")


class Idempotency:
    """Refuses a key that was used for something else; it stands behind what reads bodies."""

    def __init__(self, app: ASGIApp, *, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the app do so."""
        key = Headers(scope=scope).get("idempotency-key") if scope["type"] == "http" else None
        is_told = key is not None and 0 < len(key) <= LONGEST_KEY and scope["method"] in _COMMANDS
        if key is None or not is_told:
            await self._app(scope, receive, send)
            return
        try:
            caller = (await caller_of(Request(scope))).actor
        except TaskloomError:  # the route refuses it in its own words
            await self._app(scope, receive, send)
            return
        first = await receive()
        try:
            is_first = await self._keys.claim(caller, key, _fingerprint(scope, first))
            if is_first is None:
                raise KeyReused(key)  # answered as what claiming raises
        except TaskloomError as error:
            await problem_of(error)(scope, receive, send)
            return
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        await self._app(scope, _again(first, receive), watched)
        if is_first and 400 <= status < 500:
            await self._keys.release(caller, key)


def _fingerprint(scope: Scope, message: Message) -> bytes:
    """Return what tells one question from another; how its JSON is laid out does not matter."""
    body: bytes = message.get("body", b"")
    if body:
        body = orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    asked = f"{scope['method']} {scope['path']}{_query(scope)} "
    return hashlib.sha256(asked.encode() + body).digest()


def _query(scope: Scope) -> str:
    """Return what is asked in the query; how long somebody waits for the answer does not matter."""
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    asked = sorted(pair for pair in query if pair[0] != "wait")
    return f"?{urlencode(asked)}" if asked else ""


def _again(first: Message, receive: Receive) -> Receive:
    is_read = False

    async def again() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        is_read = True
        return first

    return again
