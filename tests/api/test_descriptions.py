"""The descriptions are made once, and nobody waits for that who asks for something else."""

import asyncio
from threading import Event
from typing import Any

import httpx2
import orjson
from fastapi import FastAPI

from api.descriptions import show_descriptions


async def test_others_are_answered_while_the_description_is_made() -> None:
    begun, may_end = Event(), Event()
    made: list[int] = []

    def make() -> dict[str, Any]:
        made.append(1)
        begun.set()
        assert may_end.wait(20)
        return {"openapi": "3.1.0"}

    app = FastAPI(openapi_url=None)
    app.openapi = make  # type: ignore[method-assign] # as FastAPI documents it
    show_descriptions(app, "/api")

    @app.get("/other")
    async def other() -> str:
        return "answered"

    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://taskloom") as http:
        asked = [asyncio.create_task(http.get("/api/openapi.json")) for _ in range(3)]
        assert await asyncio.to_thread(begun.wait, 20)
        assert (await http.get("/other")).json() == "answered"
        may_end.set()
        for answer in await asyncio.gather(*asked, http.get("/api/openapi.json")):
            assert orjson.loads(answer.content) == {"openapi": "3.1.0"}
    assert len(made) == 1
