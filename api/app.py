"""The API as one ASGI app, made of ports: no settings, no servers, no global state."""

from fastapi import APIRouter, FastAPI

from api import agents, events, executions, plans, status
from api.bodies import StrictBodies
from api.deps import Deps
from api.problems import answer_problems

PREFIX = "/api/v1"


def create_app(deps: Deps) -> FastAPI:
    """Return the app that answers from views and records what it is told."""
    app = FastAPI(
        title="Taskloom",
        version=deps.version,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=f"{PREFIX}/docs",
        redoc_url=None,
    )
    app.state.deps = deps
    api = APIRouter(prefix=PREFIX)
    for part in (plans, executions, agents, events, status):
        api.include_router(part.router)
    app.include_router(api)
    app.include_router(status.probes)
    answer_problems(app)
    app.add_middleware(StrictBodies)
    return app
