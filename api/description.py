"""The description of the API, OpenAPI 3.1: what FastAPI knows of the routes, and what it does not.

Names of operations are those of their functions: who generates a client relies on them.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.access import OPEN, routes_of
from api.answer_headers import HEADERS, headers_of
from api.deprecation import is_deprecated
from api.examples import BODIES, PATHS
from api.problems import CONTENT_TYPE, PROBLEM
from bus.docstrings import describe_fields

TAGS: Final = {
    "plans": "Goals, and the graphs that planners make of them.",
    "executions": "Plans that are carried out: how far they are, and how to steer them.",
    "agents": "Who works, how each one is, and how they come and go.",
    "messages": "What other systems say, and who hears of what.",
    "queue": "Single tasks without a plan, and how much work waits.",
    "live": "What happens, while it happens.",
    "dead letters": "Messages that nobody could accept, and what becomes of them.",
    "events": "The record itself.",
    "status": "How everything is, in one answer.",
    "metrics": "How the system, its agents and executions do.",
    "analytics": "What plans were like in a period, and how well their executions went.",
    "auth": "Sessions: who asks, with a password.",
    "keys": "Keys for programs, each shown once.",
    "users": "Who may use the API.",
    "probes": "For machines that watch the process.",
}
"""What is under which heading, in the order in which a newcomer needs it."""

DESCRIBED: Final = ("api", "bus", "domain", "projections")
"""The packages whose models are asked and answered."""

_SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token of `POST /api/v1/auth/login`, or that of an agent.",
    },
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A key of `POST /api/v1/keys`.",
    },
}


_BOUNDS: Final = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})


def operation_id(route: APIRoute) -> str:
    """Return how generated clients name an operation."""
    return route.name


def describe(app: FastAPI) -> None:
    """Let an app describe itself in full."""
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(_described(app))
        return made

    app.openapi = openapi  # type: ignore[method-assign] # as FastAPI documents it


def _described(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=app.openapi_version,
        description=app.description,
        routes=app.routes,
    )
    schema["info"]["contact"] = {"name": "Whoever runs this Taskloom"}
    schema["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    schema["servers"] = [{"url": "/", "description": "Where this description comes from."}]
    schema["security"] = [{name: []} for name in _SCHEMES]
    components = schema.setdefault("components", {})
    components["securitySchemes"] = _SCHEMES
    components["headers"] = dict(HEADERS)
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    used: set[str] = set()
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            used.update(operation.get("tags", ()))
            _complete(path, operation)
    for method, path, route in routes_of(app):
        if (operation := schema["paths"].get(path, {}).get(method.lower())) is not None:
            _complete_for(route, operation)
    schema["tags"] = [
        {"name": tag, "description": TAGS.get(tag, f"About {tag}.")}
        for tag in (*TAGS, *sorted(used - TAGS.keys()))
        if tag in used
    ]
    describe_fields(components["schemas"], DESCRIBED)
    _plain(schema)
    return schema


def _plain(schema: Any) -> None:
    """Say what linters and generators of clients look for: they know arrays, and one duration.

    A duration may be written as people do, and a tuple is an array of known length. What a choice
    of objects is when it is left out stands in its description. Bounds of integers are integers: as
    floats the largest would be more than what they bound. Names that have a pattern all have it.
    """
    if isinstance(schema, dict):
        known = cast("dict[str, Any]", schema)
        if "prefixItems" in known:
            known.setdefault("items", {})
        if known.get("format") == "duration":
            del known["format"]
            said = "As people write it, `2 days`, or as ISO 8601, `P2D`."
            known["description"] = f"{known.get('description', '')} {said}".lstrip()
        if "oneOf" in known and isinstance(known.get("default"), dict):
            del known["default"]
        if "patternProperties" in known:
            known.setdefault("additionalProperties", False)
        if known.get("type") == "integer":
            for bound in _BOUNDS & known.keys():
                known[bound] = int(known[bound])
        for each in known.values():
            _plain(each)
    elif isinstance(schema, list):
        for each in cast("Any", schema):
            _plain(each)


def _never_null(schema: dict[str, Any]) -> None:
    """Take back that something may be null: it can only be left out, and ``null`` is a word."""
    choices = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if len(choices) == 1:
        del schema["anyOf"]
        schema.update(choices[0])
        if "$ref" in schema:
            schema.pop("title", None)  # what it leads to has one
    elif choices:
        schema["anyOf"] = choices


def _complete(path: str, operation: dict[str, Any]) -> None:
    name = operation["operationId"]
    operation.setdefault("tags", ["probes"])
    operation["summary"] = operation["description"].partition("\n")[0].partition(";")[0].rstrip(".")
    if path in OPEN:
        operation["security"] = []
    for status, answer in operation["responses"].items():
        content = answer.get("content", {})
        if CONTENT_TYPE in content:
            content[CONTENT_TYPE] = {"schema": {"$ref": "#/components/schemas/Problem"}}
        if status.isdigit() and answer["description"] == "Successful Response":
            answer["description"] = "It was done."
    for parameter in operation.get("parameters", ()):
        _never_null(parameter["schema"])
        known = PATHS.get(parameter["name"])
        if parameter["in"] == "path" and known is not None:
            parameter["example"] = known
            parameter.setdefault("description", f"As in `{known}`.")
    body = cast("Mapping[str, Any]", operation.get("requestBody", {})).get("content", {})
    if "application/json" in body:
        # Whether it may be left out is said elsewhere; ``null`` is refused.
        _never_null(body["application/json"]["schema"])
    if "application/json" in body and name in BODIES:
        body["application/json"]["example"] = BODIES[name]


def _complete_for(route: APIRoute, operation: dict[str, Any]) -> None:
    """Say what only the route knows: whether it goes away, and the headers of its answers."""
    if is_deprecated(route):
        operation["deprecated"] = True
    for status, answer in operation["responses"].items():
        if headers := headers_of(route, status):
            answer["headers"] = headers
