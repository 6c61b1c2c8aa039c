"""A served API, and readers of its live updates."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection

from infra.processes.api import served
from infra.settings_of_api import Http

QUIET = ("heartbeat", "execution.status")


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """Serve an app as it is really served, and tell where: ``127.0.0.1:port``."""
    server = uvicorn.Server(served(app, Http(port=0)))
    task = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 # it tells nobody
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


async def heard(socket: ClientConnection) -> Mapping[str, Any]:
    """Return the next frame that is no heartbeat."""
    async with asyncio.timeout(10):
        while True:
            frame: Mapping[str, Any] = orjson.loads(await socket.recv())
            if frame["type"] != "heartbeat":
                return frame


async def heard_until(socket: ClientConnection, type_: str) -> Mapping[str, Any]:
    """Return the first frame of a type, and pass over all that come before."""
    while True:
        frame = await heard(socket)
        if frame["type"] == type_:
            return frame
