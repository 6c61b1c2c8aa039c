"""Entity tags: whoever has an answer already is told so instead of hearing it again.

A tag is ``"<version>.<what is shown>"``. The version is that of the stream behind the answer, where
there is one: a command with ``If-Match`` is carried out only at that version.
"""

import hashlib
from typing import Annotated, Final

from fastapi import Depends, Header
from pydantic import Field, WithJsonSchema
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import BadTag
from api.reading import VERSION

_TAGGED: Final = ("application/json", "application/cloudevents", "image/svg+xml")
_LONGEST: Final = 1_000
_TAG: Final = {
    "type": "string",
    "maxLength": _LONGEST,
    "pattern": r'^(\*|"[0-9]{1,18}(\.[!#-~]*)?")$',
}
"""What can be expected, for those who generate questions; here it is looked at in words."""


class Tags:
    """Tags what is read, and answers 304 where it is known already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        known = Headers(scope=scope).get("if-none-match", "")
        start: Message | None = None

        async def tagged(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _can_be_tagged(message):
                start = message  # the tag is known once the body is
                return
            if start is None:
                await send(message)
                return
            held, start = start, None
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                message = _tag(held, message, known)
            await send(held)
            await send(message)

        await self._app(scope, receive, tagged)


def _can_be_tagged(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    is_ours = headers.get("content-type", "").startswith(_TAGGED)
    return start["status"] == 200 and is_ours and "etag" not in headers


def _tag(start: Message, body: Message, known: str) -> Message:
    """Put a tag on an answer, and return its body, or none where it is known."""
    headers = MutableHeaders(raw=start["headers"])
    shown = hashlib.blake2b(body.get("body", b""), digest_size=8).hexdigest()
    version = headers.get(VERSION)
    tag = f'"{version}.{shown}"' if version else f'"{shown}"'
    headers["ETag"] = tag
    if known.strip() != "*" and tag not in [
        one.strip().removeprefix("W/") for one in known.split(",")
    ]:
        return body
    start["status"] = 304
    for name in ("content-length", "content-type"):
        del headers[name]
    return {"type": "http.response.body", "body": b""}


async def _expected(
    if_match: Annotated[
        Annotated[str, Field(max_length=_LONGEST), WithJsonSchema(_TAG)] | None,
        Header(description="Only at this version: an `ETag`, or just a version in quotes."),
    ] = None,
) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    tag = if_match.strip()
    version = tag[1:-1].partition(".")[0]
    is_tag = len(tag) >= 3 and tag[0] == tag[-1] == '"'  # quotes, and something
    if not is_tag or not version.isascii() or not version.isdigit() or len(version) > 18:
        raise BadTag(if_match)
    return int(version)


IfMatch = Annotated[int | None, Depends(_expected)]
"""The version of its stream at which alone a command is to be carried out."""
