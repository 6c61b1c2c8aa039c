"""The API as one ASGI app, made of ports: no settings, no servers, no global state."""

from copy import copy
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from starlette.datastructures import State

from api import (
    agents,
    analytics,
    auth,
    breakers,
    dead_letters,
    events,
    executions,
    exposition,
    forecasts,
    invocations,
    keys,
    messages,
    metrics,
    pictures,
    plans,
    queue,
    registration,
    replanning,
    reviews,
    revisions,
    schedules,
    status,
    steering,
    subscriptions,
    tasks,
    usage,
    users,
    why,
)
from api.access import Undeclared, undeclared
from api.bodies import StrictBodies
from api.deps import Deps
from api.description import describe, operation_id
from api.descriptions import show_descriptions
from api.headers import SaneHeads
from api.idempotency import Idempotency
from api.live import routes as live
from api.measuring import Measured, Meter
from api.origins import OwnPages
from api.ownership import Owners
from api.pages import explain
from api.problems import PROBLEMS, answer_problems
from api.rates import RateLimits
from api.reading import POSITION, VERSION
from api.requests import REQUEST_ID, NamedRequests
from api.tags import Tags

PREFIX = "/api/v1"
LEAST_COMPRESSED = 1024
"""Answers of so many bytes are compressed for those who understand it; streams of events never."""

_ASKED = ("Idempotency-Key", "If-Match", "If-None-Match", "X-API-Key", REQUEST_ID)
_TOLD = (
    "Deprecation",
    "ETag",
    "Link",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Sunset",
    POSITION,
    VERSION,
    REQUEST_ID,
)
"""What pages of other origins may read of our headers."""


def create_app(deps: Deps) -> FastAPI:
    """Return the app that answers from views and records what it is told."""
    # The routes are the same whatever is behind them, and making them takes longest.
    app = copy(_with_routes(deps.version, is_shown=deps.docs))
    app.router = copy(app.router)
    app.router.routes = list(app.router.routes)
    app.router.middleware_stack = app.router.app  # else it would be that of the original
    app.exception_handlers = dict(app.exception_handlers)
    app.user_middleware = []
    app.state = State()
    app.state.deps = deps
    app.state.owners = Owners()
    answer_problems(app)
    app.state.meter = Meter()
    _surround(app, deps)
    return app


def described(version: str) -> dict[str, Any]:
    """Return the description of the API, which needs nothing behind it."""
    return _with_routes(version, is_shown=True).openapi()


@cache
def _with_routes(version: str, *, is_shown: bool) -> FastAPI:
    app = FastAPI(
        title="Taskloom",
        description=(
            "A goal becomes a plan, a plan is carried out as an execution, an execution has tasks,"
            " a task has a result. What goes wrong is answered as `application/problem+json`"
            " with a stable `code`. The header `Taskloom-Position` tells which event an answer"
            " reflects; ask with `min_position` to read your own writes."
        ),
        version=version,
        openapi_url=None,  # descriptions.py serves it
        docs_url=None,
        redoc_url=None,
        responses=PROBLEMS,
        generate_unique_id_function=operation_id,
    )
    for part in (
        plans,
        reviews,
        replanning,
        revisions,
        schedules,
        pictures,
        usage,
        executions,
        forecasts,
        steering,
        tasks,
        why,
        registration,
        invocations,
        queue,
        live,  # before agents: one of them may be called events
        agents,
        breakers,
        dead_letters,
        messages,
        subscriptions,
        events,
        metrics,
        analytics,
        status,
        auth,
        users,
        keys,
    ):
        # Not by way of a router of all: each route would be made once more.
        app.include_router(part.router, prefix=PREFIX)
    app.include_router(pictures.router, include_in_schema=False)  # as DOC0 names them
    app.include_router(status.probes)
    app.include_router(exposition.router)  # where Prometheus looks for it
    if unguarded := list(undeclared(app)):
        raise Undeclared(unguarded)
    for prefix in ("", PREFIX):
        app.include_router(live.sockets, prefix=prefix)
        app.include_router(subscriptions.sockets, prefix=prefix)
    describe(app)
    if is_shown:
        explain(app, PREFIX)
        show_descriptions(app, PREFIX)
    return app


def _surround(app: FastAPI, deps: Deps) -> None:
    """Let requests pass through what all of them share; what is added last sees them first."""
    app.add_middleware(Tags)
    if deps.keys is not None:
        app.add_middleware(Idempotency, keys=deps.keys)
    app.add_middleware(StrictBodies)
    app.add_middleware(OwnPages, allowed=deps.origins)
    app.add_middleware(RateLimits, deps=deps)
    app.add_middleware(GZipMiddleware, minimum_size=LEAST_COMPRESSED, compresslevel=5)
    if deps.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=deps.origins,
            allow_credentials="*" not in deps.origins,
            allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=("Authorization", "Content-Type", *_ASKED),
            expose_headers=_TOLD,
            max_age=600,
        )
    app.add_middleware(SaneHeads)
    app.add_middleware(NamedRequests, deps=deps)
    app.add_middleware(Measured, meter=app.state.meter, prefix=PREFIX)
