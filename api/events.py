"""Events: the record itself, as CloudEvents, for other systems and for the curious."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from api.access import may
from api.deps import Ports
from api.errors import UnknownEvent
from api.reading import POSITION
from bus.envelope import CONTENT_TYPE, encode_recorded

router = APIRouter(prefix="/events", tags=["events"])

BATCH_TYPE = "application/cloudevents-batch+json"

_BATCH: dict[int | str, dict[str, Any]] = {
    200: {"content": {BATCH_TYPE: {"schema": {"type": "array", "items": {"type": "object"}}}}}
}
_ONE: dict[int | str, dict[str, Any]] = {
    200: {"content": {CONTENT_TYPE: {"schema": {"type": "object"}}}}
}


@router.get("", response_class=Response, responses=_BATCH, dependencies=[may("event:read")])
async def show_events(
    ports: Ports,
    after: Annotated[int, Query(ge=0, lt=2**63, description="The position after which.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """Show what was recorded after a position: a batch of CloudEvents and a link to the next."""
    events = await ports.log.read_all(after=after, limit=limit)
    last = events[-1].position if events else after
    body = b"[" + b",".join(encode_recorded(recorded) for recorded in events) + b"]"
    headers = {
        POSITION: str(last),
        "Link": f'</api/v1/events?after={last}&limit={limit}>; rel="next"',
    }
    return Response(body, media_type=BATCH_TYPE, headers=headers)


@router.get(
    "/{position}", response_class=Response, responses=_ONE, dependencies=[may("event:read")]
)
async def show_event(ports: Ports, position: Annotated[int, Path(ge=1, lt=2**63)]) -> Response:
    """Show one event whole: where a published one says ``dataref``, it is here."""
    found = await ports.log.read_all(after=position - 1, limit=1)
    if not found or found[0].position != position:
        raise UnknownEvent(position)
    return Response(
        encode_recorded(found[0]), media_type=CONTENT_TYPE, headers={POSITION: str(position)}
    )
