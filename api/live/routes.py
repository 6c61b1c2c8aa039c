"""Where live updates are followed."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response, WebSocket
from pydantic import BaseModel, TypeAdapter, ValidationError

from api.access import May
from api.deps import Deps, Ports
from api.errors import BadCursor
from api.live.door import admit, deps_behind, live_of, seat_for
from api.live.feeds import AgentsFeed, ExecutionFeed, Feed
from api.live.following import Following
from api.live.sockets import Batches, serve
from api.live.streams import EVENT_STREAM, Updates
from api.live.tickets import LIFE, issue
from api.reading import snapshot
from domain.errors import UnknownRun
from domain.identity import Caller
from domain.values import RunId
from projections.executions import EXECUTIONS, read_execution

router = APIRouter(tags=["live"])
sockets = APIRouter()

_RUN_ID: TypeAdapter[str] = TypeAdapter(RunId)
_STREAM = {200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}}}

After = Annotated[
    int | None,
    Query(ge=0, lt=2**63, description="The position after which; without, where things stand."),
]
LastEventId = Annotated[
    int | None,
    Header(ge=0, lt=2**63, alias="Last-Event-ID", description="The last id that was received."),
]


class TicketAnswer(BaseModel):
    """A ticket for one WebSocket."""

    ticket: str
    expires_in: int
    """Seconds."""


@router.post("/tickets", status_code=201)
async def issue_ticket(
    ports: Ports,
    request: Request,
    response: Response,
    caller: Annotated[Caller, Depends(May("status:read"))],
) -> TicketAnswer:
    """Give a ticket to show as `?ticket=` where no headers can be sent; it opens one WebSocket."""
    del caller
    ticket = await issue(live_of(ports).tickets, request.headers, now=ports.clock.now())
    response.headers["Cache-Control"] = "no-store"
    return TicketAnswer(ticket=ticket, expires_in=int(LIFE.total_seconds()))


@router.get("/executions/{execution_id}/events", response_class=Response, responses=_STREAM)  # type: ignore[arg-type] # as FastAPI documents it
async def stream_execution(
    execution_id: Annotated[RunId, Path()],
    ports: Ports,
    request: Request,
    caller: Annotated[Caller, Depends(May("plan:read"))],
    after: After = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Tell what happens in an execution while it happens, as server-sent events."""
    del caller
    recheck = await admit(request, "plan:read")
    feed = await _execution(ports, execution_id)
    resumed = after if last_event_id is None else last_event_id
    return Updates(_followed(ports, feed, resumed), recheck, seat_for(request, recheck.caller))


@router.get("/agents/events", response_class=Response, responses=_STREAM)  # type: ignore[arg-type] # as above
async def stream_agents(
    ports: Ports,
    request: Request,
    caller: Annotated[Caller, Depends(May("agent:read"))],
    after: After = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Tell what happens to agents and how they are, as server-sent events."""
    del caller
    recheck = await admit(request, "agent:read")
    feed = AgentsFeed(live_of(ports).places)
    resumed = after if last_event_id is None else last_event_id
    return Updates(_followed(ports, feed, resumed), recheck, seat_for(request, recheck.caller))


@sockets.websocket("/ws/executions/{execution_id}")
async def follow_execution(websocket: WebSocket, execution_id: str) -> None:
    """Tell what happens in an execution while it happens."""
    ports = deps_behind(websocket)

    async def batches() -> Batches:
        try:
            feed = await _execution(ports, _RUN_ID.validate_python(execution_id))
        except ValidationError as error:
            raise UnknownRun(execution_id[:200]) from error
        return _followed(ports, feed, after_of(websocket))

    await serve(websocket, lambda: admit(websocket, "plan:read"), batches)


@sockets.websocket("/ws/agents")
async def follow_agents(websocket: WebSocket) -> None:
    """Tell what happens to agents, and how they are."""
    ports = deps_behind(websocket)

    async def batches() -> Batches:
        return _followed(ports, AgentsFeed(live_of(ports).places), after_of(websocket))

    await serve(websocket, lambda: admit(websocket, "agent:read"), batches)


def after_of(websocket: WebSocket) -> int | None:
    """Return the position after which somebody wants to be told.

    Raises:
        BadCursor: It is none.
    """
    said = websocket.query_params.get("after")
    if said is None:
        return None
    if not (said.isascii() and said.isdigit() and len(said) < 19):
        raise BadCursor
    return int(said)


async def _execution(ports: Deps, run_id: str) -> ExecutionFeed:
    """Return the feed of an execution.

    Raises:
        UnknownRun: There is none.
    """
    live = live_of(ports)
    async with snapshot(ports, EXECUTIONS) as read:
        row = await read_execution(read.connection, run_id)
    if row is None and not await live.places.excerpts.read_stream(run_id, after=0, limit=1):
        raise UnknownRun(run_id)
    return ExecutionFeed(run_id, live.places)


def _followed(ports: Deps, feed: Feed, after: int | None) -> Batches:
    return Following(live_of(ports).hub, feed, ports.clock).batches(after)
