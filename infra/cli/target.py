"""What a verb works on: what the settings name, else the stack that runs here, else what it left.

The private database of a stack that has stopped is started for the time of the verb.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from domain.errors import Unavailable
from infra.processes import address
from infra.processes.local_key import read_local_key
from infra.settings import Settings


class NothingHere(Unavailable):
    """There is neither a stack nor what one left behind."""

    code = "nothing-here"


@asynccontextmanager
async def database(settings: Settings, *, is_new: bool = False) -> AsyncGenerator[str]:
    """Give the DSN of the database; ``is_new`` makes a private one where there is none.

    Raises:
        NothingHere: There is none.
    """
    running = address.read(settings.state_dir)
    if settings.db.dsn is not None:
        yield settings.db.dsn
    elif running is not None:
        yield running.dsn
    else:
        from infra.services.postgres import EmbeddedPostgres

        postgres = EmbeddedPostgres(settings.state_dir)
        if not is_new and not (postgres.home / "data").exists():
            raise NothingHere(
                f"nothing is recorded under {settings.state_dir}; start a stack with `taskloom up`,"
                " or set TASKLOOM_DB__DSN"
            )
        async with postgres:
            yield postgres.dsn


def token(settings: Settings) -> str | None:
    """Return what to show the API: as set, of the stack that runs here, or that one left."""
    if settings.token is not None:
        return settings.token.get_secret_value()
    running = address.read(settings.state_dir)
    return read_local_key(settings.state_dir) if running is None else running.token


def api_url(settings: Settings, given: str | None) -> str:
    """Return where the API is: as given, of the stack that runs here, or as set."""
    if given is not None:
        return given.rstrip("/")
    running = address.read(settings.state_dir)
    if running is not None:
        return running.api_url
    scheme = "http" if settings.http.certificate is None else "https"
    return f"{scheme}://{settings.http.host}:{settings.http.port}"
