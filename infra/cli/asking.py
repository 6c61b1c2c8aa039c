"""How a verb asks the API."""

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from infra.cli.client import Client

Api: TypeAlias = Annotated[
    str | None,
    typer.Option("--api", metavar="URL", help="Where the API is; default: the stack here."),
]


def ask(api: str | None, work: "Callable[[Client], Awaitable[Any]]") -> Any:
    """Do something with a client, and return what comes of it."""
    import asyncio

    from infra.cli.client import Client
    from infra.cli.target import api_url, token
    from infra.settings import Settings

    async def asking() -> Any:
        settings = Settings()
        async with Client(api_url(settings, api), token(settings)) as client:
            return await work(client)

    return asyncio.run(asking())
