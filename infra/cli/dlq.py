"""``taskloom dlq``: the dead letters, messages that nobody could accept."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.output import AsJson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.store.dead_letters import KeptLetter

app = typer.Typer(help="Dead letters: messages that nobody could accept.", no_args_is_help=True)

SHOWN = 90


@app.command("list")
def list_(
    reason: Annotated[str | None, typer.Option(help="Show those with this reason only.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the newest first."""
    import asyncio

    from infra.cli.output import print_json, print_table, say, table
    from infra.cli.reading import record
    from infra.settings import Settings
    from infra.store.dead_letters import DeadLetterTable

    async def work() -> "tuple[Sequence[KeptLetter], int]":
        async with record(Settings()) as opened:
            letters = DeadLetterTable(opened.pool)
            return await letters.list(reason=reason, limit=limit), await letters.count()

    letters, count = asyncio.run(work())
    if as_json:
        print_json([_plain(letter) for letter in letters])
        return
    if not letters:
        say("no dead letters" if not count else f"no dead letters with the reason {reason}")
        return
    made = table(">id", "died at", "reason", "routing key", "detail")
    for letter in letters:
        detail = letter.detail if len(letter.detail) <= SHOWN else f"{letter.detail[:SHOWN]}…"
        at = letter.died_at.strftime("%Y-%m-%d %H:%M:%S")
        made.add_row(str(letter.id), at, letter.reason, letter.routing_key, detail)
    print_table(made)
    if len(letters) < count:
        say(f"{len(letters)} of {count} dead letters")


@app.command()
def show(
    number: Annotated[int, typer.Argument(metavar="ID", help="Its number in the list.")],
    as_json: AsJson = False,
) -> None:
    """Show one dead letter with its body."""
    import asyncio

    from infra.cli.output import print_json
    from infra.cli.reading import record
    from infra.settings import Settings
    from infra.store.dead_letters import DeadLetterTable

    async def work() -> "KeptLetter":
        async with record(Settings()) as opened:
            return await DeadLetterTable(opened.pool).show(number)

    fields = _plain(asyncio.run(work()))
    if as_json:
        print_json(fields)
        return
    body = fields.pop("body", fields.pop("body_base64", ""))
    for name, value in fields.items():
        print(f"{name:12} {value}")
    print(f"\n{body}")


def _plain(letter: "KeptLetter") -> dict[str, Any]:
    """Return a letter as JSON values; a body that is no text in base64."""
    from base64 import b64encode
    from dataclasses import asdict

    fields = asdict(letter)
    body: bytes = bytes(fields.pop("body"))
    fields["died_at"] = letter.died_at.isoformat()
    try:
        fields["body"] = body.decode()
    except UnicodeDecodeError:
        fields["body_base64"] = b64encode(body).decode()
    return fields
