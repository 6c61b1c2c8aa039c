"""Every refusal and failure in one form: problem details, RFC 9457."""

import math
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import psycopg
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.errors import (
    BadHead,
    DatabaseSilent,
    ForeignOrigin,
    HeadTooLarge,
    NotAllowed,
    QuotaSpent,
    TooManyFollowed,
    UnknownTicket,
    ViewsMissing,
)
from api.identity.errors import TooManyAttempts, Unauthenticated
from bus.asking import AgentTimeout
from bus.refusals import (
    DuplicateKey,
    IdentityMismatch,
    MalformedJson,
    TooLarge,
    UnsupportedMediaType,
)
from domain.errors import (
    Conflict,
    NotFound,
    Refused,
    StreamMovedOn,
    TaskloomError,
    Unavailable,
)

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
REQUEST: ContextVar[str | None] = ContextVar("request", default=None)
"""The name of the request that is being answered."""

RETRY_AFTER = 1
"""Seconds after which the same request may succeed."""


_TEXT = {"type": "string"}
PROBLEM = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "code": {**_TEXT, "description": "Stable; README.md lists all."},
        "detail": _TEXT,
        "request_id": {**_TEXT, "description": "How our logs name the request."},
        "errors": {
            "description": "Where fields are wrong.",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": _TEXT, "code": _TEXT, "detail": _TEXT},
            },
        },
    },
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": description,
        "content": {CONTENT_TYPE: {"schema": PROBLEM}},
    }
    for status, description in (
        ("4XX", "It was refused; `code` says why."),
        ("5XX", "It could not be answered; after 503, ask again."),
    )
}
"""What every endpoint may answer, for the API's description."""


def status_of(error: TaskloomError) -> HTTPStatus:
    """Return the HTTP status that an error becomes."""
    match error:
        case NotFound():
            return HTTPStatus.NOT_FOUND
        case StreamMovedOn():
            return HTTPStatus.PRECONDITION_FAILED
        case Conflict():
            return HTTPStatus.CONFLICT
        case TooLarge():
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        case Unauthenticated() | UnknownTicket():
            return HTTPStatus.UNAUTHORIZED
        case TooManyAttempts() | QuotaSpent() | TooManyFollowed():
            return HTTPStatus.TOO_MANY_REQUESTS
        case NotAllowed() | ForeignOrigin() | IdentityMismatch():
            return HTTPStatus.FORBIDDEN
        case UnsupportedMediaType():
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        case HeadTooLarge():
            return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        case MalformedJson() | DuplicateKey() | BadHead():
            return HTTPStatus.BAD_REQUEST
        case Refused():
            return HTTPStatus.UNPROCESSABLE_ENTITY
        case AgentTimeout():
            return HTTPStatus.GATEWAY_TIMEOUT
        case Unavailable():
            return HTTPStatus.SERVICE_UNAVAILABLE
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR


def problem(
    status: HTTPStatus | int,
    code: str,
    detail: str,
    *,
    errors: Sequence[Any] = (),
    **more: str | int,
) -> Response:
    """Return an answer that says what was wrong."""
    status = HTTPStatus(status)
    content: dict[str, object] = {
        "type": f"urn:taskloom:{code}",
        "title": status.phrase,
        "status": status.value,
        "code": code,
        "detail": detail,
        **more,
    }
    if request := REQUEST.get():
        content["request_id"] = request
    if errors:
        content["errors"] = list(errors)
    headers = {"Retry-After": str(RETRY_AFTER)} if status == 503 else None
    return JSONResponse(content, status.value, headers=headers, media_type=CONTENT_TYPE)


def problem_of(error: TaskloomError) -> Response:
    """Return the answer that an error becomes."""
    if isinstance(error, StreamMovedOn):
        status = HTTPStatus.PRECONDITION_FAILED
        return problem(status, error.code, str(error), current_version=error.version)
    if isinstance(error, QuotaSpent):
        return _spent(error)
    if isinstance(error, TooManyFollowed):
        status = HTTPStatus.TOO_MANY_REQUESTS
        return problem(status, error.code, str(error), limit=error.limit, current=error.limit)
    answer = problem(status_of(error), error.code, str(error))
    match error:
        case Unauthenticated():
            answer.headers["WWW-Authenticate"] = "Bearer"
        case TooManyAttempts(retry_after=seconds):
            answer.headers["Retry-After"] = str(seconds)
        case _:
            pass
    return answer


def too_many(
    code: str, detail: str, *, limit: int, current: int, reset_at: float, retry_after: int
) -> Response:
    """Return an answer that says how much is allowed, and when to ask again."""
    seconds = math.ceil(reset_at)
    answer = problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        code,
        detail,
        limit=limit,
        current=current,
        reset_at=datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        retry_after=retry_after,
    )
    answer.headers["Retry-After"] = str(retry_after)
    answer.headers["X-RateLimit-Limit"] = str(limit)
    answer.headers["X-RateLimit-Remaining"] = "0"
    answer.headers["X-RateLimit-Reset"] = str(seconds)
    return answer


def _spent(error: QuotaSpent) -> Response:
    answer = too_many(
        error.code,
        str(error),
        limit=error.limit,
        current=error.current,
        reset_at=error.reset_at.timestamp(),
        retry_after=error.retry_after,
    )
    answer.headers["RateLimit-Policy"] = f'"{error.what}";q={error.limit};w={error.seconds}'
    answer.headers["RateLimit"] = f'"{error.what}";r=0;t={error.retry_after}'
    return answer


def answer_problems(app: FastAPI) -> None:
    """Let an app answer whatever goes wrong as a problem, never as a trace."""
    app.add_exception_handler(TaskloomError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for silent in (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout):
        app.add_exception_handler(silent, _silent)
    app.add_exception_handler(psycopg.errors.UndefinedTable, _missing)


async def _ours(request: Request, error: Exception) -> Response:
    del request
    if not isinstance(error, TaskloomError):
        raise error
    return problem_of(error)


async def _invalid(request: Request, error: Exception) -> Response:
    del request
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [
        {
            "pointer": "/".join(["", *map(str, found["loc"])]),
            "code": found["type"],
            "detail": found["msg"],
        }
        for found in error.errors()[:50]
    ]
    detail = "; ".join(f"{one['pointer']}: {one['detail']}" for one in errors[:3])
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail, errors=errors)


async def _http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "-")
    detail = str(error.detail)
    if detail == status.phrase and status in (404, 405):
        asked = f"{request.method} {request.url.path}"
        detail = f"there is no {asked}; /api/v1/docs shows what there is"
    answer = problem(status, code, detail)
    answer.headers.update(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = ", ".join(sorted(set(_methods(request))))
    return answer


def _methods(request: Request) -> Iterator[str]:
    """Yield what may be done with a path: each of it is a route of its own."""
    app: FastAPI = request.app
    for route in iter_route_contexts(app.routes):
        is_there = route.methods and route.matches(request.scope)[0] is not Match.NONE
        yield from route.methods or () if is_there else ()


async def _silent(request: Request, error: Exception) -> Response:
    log.warning("api.database_silent", path=request.url.path, why=str(error))
    return problem_of(DatabaseSilent())


async def _missing(request: Request, error: Exception) -> Response:
    log.warning("api.views_missing", path=request.url.path, why=str(error))
    return problem_of(ViewsMissing())


def unexpected(path: str, error: Exception) -> Response:
    """Return the answer to a request that we have failed, and write down how."""
    log.error("api.unexpected", path=path, exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "unexpected",
        "this is our fault; the log of the API has more",
    )
