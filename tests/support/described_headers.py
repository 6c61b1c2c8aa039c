"""Whether answers have no headers that their description does not name."""

import re
from collections.abc import Sequence
from functools import cache

import httpx2
from fastapi import FastAPI
from starlette.routing import compile_path

from api.access import routes_of
from api.answer_headers import HEADERS, headers_of

_Promise = tuple[str, re.Pattern[str], dict[str, frozenset[str]]]


@cache
def promises(app: FastAPI) -> Sequence[_Promise]:
    """Return which headers the answers of each operation may have, by status."""
    return [
        (
            method,
            compile_path(path)[0],
            {status: frozenset(headers_of(route, status)) for status in _ANSWERS},
        )
        for method, path, route in routes_of(app)
    ]


def check_headers(app: FastAPI, answer: httpx2.Response) -> None:
    """Fail where an answer has a header that its operation is not described with."""
    status = str(answer.status_code)
    status = status if status in _ANSWERS else f"{status[0]}XX"
    has = {name for name in HEADERS if name in answer.headers}
    for method, path, by_status in promises(app):
        if method == answer.request.method and path.match(answer.request.url.path):
            undescribed = has - by_status.get(status, has)
            assert not undescribed, f"{method} {path.pattern} {status} has {undescribed}"
            return


_ANSWERS = ("200", "201", "202", "4XX", "5XX")
