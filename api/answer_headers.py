"""What the headers of answers say, and which answers have them: for the description alone."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi.routing import APIRoute

from api.access import dependencies_of
from api.commanding import commander
from api.paging import numbered, pages
from api.reading import POSITION, VERSION, reader

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "integer", "minimum": 0}
HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ETag": {
        "description": "Stands for what is shown: `If-None-Match` with it is answered 304 until"
        " that changes. Where `Taskloom-Version` is told, it begins with that, and `If-Match` with"
        " it lets a command be carried out at that version only.",
        "schema": _TEXT,
    },
    "Link": {
        "description": 'Where the next page is, as `rel="next"`; missing on the last one.',
        "schema": _TEXT,
    },
    "Location": {"description": "Where what was made is shown.", "schema": _TEXT},
    "Retry-After": {"description": "Seconds after which to try again.", "schema": _NUMBER},
    POSITION: {
        "description": "The position in the log that the answer reflects, or that the command has"
        " led to: ask with `min_position` to see at least as much.",
        "schema": _NUMBER,
    },
    VERSION: {
        "description": "How many events the stream of what is shown has had by then.",
        "schema": _NUMBER,
    },
    "WWW-Authenticate": {"description": "How to say who asks.", "schema": _TEXT},
}

_BY_STATUS: Final[Mapping[str, tuple[str, ...]]] = {
    "4XX": ("Retry-After", "WWW-Authenticate"),
    "5XX": ("Retry-After",),
}
_BY_DEPENDENCY: Final[Mapping[Any, str]] = {
    reader: POSITION,
    commander: POSITION,
    pages: "Link",
    numbered: "Link",
}
_BY_OPERATION: Final[Mapping[str, tuple[str, ...]]] = {
    "add_user": ("Location",),
    "cancel_plan": (POSITION,),
    "create_plan": ("Location", POSITION),
    "deregister_agent": (POSITION,),
    "enqueue_task": ("Location", POSITION),
    "make_key": ("Location",),
    "publish_message": (POSITION,),
    "redrive_dead_letter": ("Location",),
    "redrive_dead_letters": ("Location",),
    "register_agent": ("Location", POSITION),
    "replan": (POSITION,),
    "start_execution": ("Location", POSITION),
    "subscribe": ("Location",),
    "show_plan": (VERSION,),
    "show_execution": (VERSION,),
    "show_agent": (VERSION,),
    "show_event": (POSITION,),
    "show_events": ("Link", POSITION),
}


def headers_of(route: APIRoute, status: str) -> Mapping[str, Mapping[str, str]]:
    """Return the headers that an answer may have, as the description says them."""
    found = set(_BY_STATUS.get(status, ()))
    if status.startswith("2"):
        called = {one.call for one in dependencies_of(route.dependant)}
        found |= {name for call, name in _BY_DEPENDENCY.items() if call in called}
        found |= {*_BY_OPERATION.get(route.name, ())}
        found |= {"ETag"} if "GET" in (route.methods or ()) else set()
    return {name: {"$ref": f"#/components/headers/{name}"} for name in sorted(found)}
