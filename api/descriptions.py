"""The descriptions of the API and of the bus, as they are served: made once, when somebody asks.

To describe the API takes a good part of a second; it is done in a thread, so that other requests
are answered meanwhile.
"""

import asyncio
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from bus.asyncapi import document


def show_descriptions(app: FastAPI, prefix: str) -> None:
    """Serve both under a prefix."""
    _show(app, f"{prefix}/openapi.json", app.openapi)
    _show(app, f"{prefix}/asyncapi.json", lambda: document(app.version))


def _show(app: FastAPI, path: str, make: Callable[[], Mapping[str, Any]]) -> None:
    lock = Lock()
    made: list[bytes] = []

    def written() -> bytes:
        with lock:
            if not made:
                made.append(orjson.dumps(make()))
        return made[0]

    async def show(_: Request) -> Response:
        content = made[0] if made else await asyncio.to_thread(written)
        return Response(content, media_type="application/json")

    app.add_route(path, show, include_in_schema=False)
