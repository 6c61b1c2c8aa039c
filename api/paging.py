"""Pages: where one ends the answer says how to go on, as ``next_cursor`` and as a ``Link``.

A cursor is a place in one list of one caller. It is sealed, so that it is good for nothing else:
neither for another question, nor for another caller, nor made up.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

import orjson
from fastapi import Depends, Query, Request, Response
from pydantic import StringConstraints

from api.access import Who
from api.deps import Ports
from api.errors import BadCursor

Said = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")] | None
"""Words to look for."""

_NOT_PART: Final = frozenset({"cursor", "limit", "offset", "min_position"})
"""What may be different on the next page."""

_SEAL: Final = 12
"""Bytes of a seal: enough that nobody guesses one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """The list that one caller goes through, page by page."""

    request: Request
    response: Response
    caller: str
    secret: bytes
    cursor: str | None

    def place(self, parts: int) -> Sequence[str] | None:
        """Return the place where the page before ended; None at the beginning.

        Raises:
            BadCursor: We did not give the cursor for this list and to this caller.
        """
        if self.cursor is None:
            return None
        try:
            raw = base64.b64decode(
                self.cursor + "=" * (-len(self.cursor) % 4), altchars=b"-_", validate=True
            )
        except (ValueError, binascii.Error) as error:
            raise BadCursor from error
        seal, place = raw[:_SEAL], raw[_SEAL:]
        if not hmac.compare_digest(seal, self._seal(place)):
            raise BadCursor
        found: list[str] = orjson.loads(place)
        if len(found) != parts:
            raise BadCursor
        return found

    def moment(self) -> tuple[datetime, str] | None:
        """Return the time and the name where the page before ended."""
        place = self.place(2)
        return None if place is None else (datetime.fromisoformat(place[0]), place[1])

    def number(self) -> int | None:
        """Return the number where the page before ended."""
        place = self.place(1)
        return None if place is None else int(place[0])

    def go_on(self, *place: datetime | str | int) -> str:
        """Return the cursor that goes on after a place, and say so in a ``Link``."""
        text = [one.isoformat() if isinstance(one, datetime) else str(one) for one in place]
        raw = orjson.dumps(text)
        cursor = base64.urlsafe_b64encode(self._seal(raw) + raw).decode().rstrip("=")
        _link(self.request, self.response, cursor=cursor)
        return cursor

    def _seal(self, place: bytes) -> bytes:
        asked = sorted(
            pair for pair in self.request.query_params.multi_items() if pair[0] not in _NOT_PART
        )
        about = orjson.dumps([self.request.url.path, self.caller, asked])
        return hmac.digest(self.secret, about + b"\n" + place, hashlib.sha256)[:_SEAL]


def pages(
    request: Request,
    response: Response,
    ports: Ports,
    caller: Who,
    cursor: Annotated[
        str | None,
        Query(max_length=2_000, description="`next_cursor` of the page before, as it is."),
    ] = None,
) -> Pages:
    """Return how the list goes on that a request asks for."""
    return Pages(
        request=request,
        response=response,
        caller=caller.actor,
        secret=ports.cursor_secret,
        cursor=cursor,
    )


Paged = Annotated[Pages, Depends(pages)]
"""How a list goes on; a route says where its page has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedPages:
    """A list whose lines are counted."""

    request: Request
    response: Response

    def go_on(self, *, offset: int, limit: int, total: int) -> None:
        """Say in a ``Link`` where the next page begins, where there is one."""
        if offset + limit < total:
            _link(self.request, self.response, offset=str(offset + limit))


def numbered(request: Request, response: Response) -> NumberedPages:
    """Return how a counted list goes on."""
    return NumberedPages(request=request, response=response)


Numbered = Annotated[NumberedPages, Depends(numbered)]


def _link(request: Request, response: Response, **changes: str) -> None:
    url = request.url.include_query_params(**changes)
    response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
