"""Which letters a verb is about, as every verb of them asks for it; and the doors to the record."""

import getpass
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from bus.letters import Chosen
    from infra.cli.reading import Record
    from infra.store.dead_letters import DeadLetterTable
    from infra.store.redrives import RedriveTable

Number: TypeAlias = Annotated[int, typer.Argument(metavar="ID", min=1, help="The letter's number.")]
Numbers: TypeAlias = Annotated[
    list[int] | None, typer.Argument(metavar="[ID]…", min=1, help="These letters only.")
]
Reason: TypeAlias = Annotated[
    str | None, typer.Option("--reason", metavar="CODE", help="Those that died of this only.")
]
Queue: TypeAlias = Annotated[
    str | None, typer.Option("--queue", help="Those that died in this queue only.")
]
Type: TypeAlias = Annotated[
    str | None, typer.Option("--type", help="Those that claim to be this only.")
]
Group: TypeAlias = Annotated[
    str | None, typer.Option("--group", help="Those of one group only; see `dlq groups`.")
]
Status: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--status",
        help="kept, redriving, redriven, accepted, discarded, open (kept or redriving) or all.",
    ),
]
Since: TypeAlias = Annotated[
    str | None, typer.Option("--since", help="Those that died since: 2h, 3 days or a time.")
]


def chosen(
    *,
    numbers: list[int] | None = None,
    reason: str | None = None,
    queue: str | None = None,
    type_: str | None = None,
    group: str | None = None,
    status: str | None = None,
    since: str | None = None,
) -> "Chosen":
    """Return which letters are meant."""
    from bus.letters import Chosen

    return Chosen.model_validate(
        {
            "ids": tuple(numbers or ()),
            "reason": reason,
            "queue": queue,
            "type": type_,
            "group": group,
            "status": status,
            "since": None if since is None else _moment(since),
        }
    )


def actor() -> str:
    """Return who decides, for the record."""
    return f"users/{getpass.getuser()}"


@asynccontextmanager
async def letters() -> "AsyncGenerator[tuple[DeadLetterTable, RedriveTable, Record]]":
    """Open the tables of the letters and of their redrives."""
    from infra.cli.reading import record
    from infra.settings import Settings
    from infra.store.dead_letters import DeadLetterTable
    from infra.store.redrives import RedriveTable

    async with record(Settings()) as opened:
        yield DeadLetterTable(opened.pool), RedriveTable(opened.pool), opened


def _moment(text: str) -> "datetime":
    from datetime import UTC, datetime

    from api.durations import parse_duration

    if (ago := parse_duration(text)) is not None:
        return datetime.now(UTC) - ago
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text} is neither a duration such as 2h nor a time", param_hint="--since"
        ) from None
    return moment if moment.tzinfo else moment.astimezone()
