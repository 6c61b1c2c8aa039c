"""The API as one ASGI app, made of ports: no settings, no servers, no global state."""

from fastapi import APIRouter, FastAPI

from api import (
    agents,
    breakers,
    dead_letters,
    events,
    executions,
    forecasts,
    pictures,
    plans,
    registration,
    replanning,
    reviews,
    revisions,
    schedules,
    status,
    steering,
    tasks,
    usage,
    why,
)
from api.bodies import StrictBodies
from api.deps import Deps
from api.headers import SaneHeads
from api.problems import PROBLEMS, answer_problems

PREFIX = "/api/v1"


def create_app(deps: Deps) -> FastAPI:
    """Return the app that answers from views and records what it is told."""
    app = FastAPI(
        title="Taskloom",
        description=(
            "A goal becomes a plan, a plan is carried out as an execution, an execution has tasks,"
            " a task has a result. What goes wrong is answered as `application/problem+json`"
            " with a stable `code`. The header `Taskloom-Position` tells which event an answer"
            " reflects; ask with `min_position` to read your own writes."
        ),
        version=deps.version,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=f"{PREFIX}/docs",
        redoc_url=None,
        responses=PROBLEMS,
    )
    app.state.deps = deps
    api = APIRouter(prefix=PREFIX)
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
        agents,
        breakers,
        dead_letters,
        events,
        status,
    ):
        api.include_router(part.router)
    app.include_router(api)
    app.include_router(status.probes)
    answer_problems(app)
    app.add_middleware(StrictBodies)
    app.add_middleware(SaneHeads)
    return app
