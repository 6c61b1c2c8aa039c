"""``taskloom audit``: whether the log is what it was."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.output import AsJson

if TYPE_CHECKING:
    from infra.audit.places import Finding
    from infra.audit.statements import Statements
    from infra.settings import Settings

app = typer.Typer(help="Whether the log is what it was.", no_args_is_help=True)


@app.command()
def verify(
    checkpoints: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="Compare with these; may be repeated."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="The public key they are signed with."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Verify what `audit export` has written."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare every event with its seal, and seals with checkpoints; exit 1 where one differs."""
    import asyncio

    from infra.audit.dossier import DossierSource
    from infra.audit.verifying import verify as compare
    from infra.cli.exits import Exit
    from infra.cli.target import database
    from infra.settings import Settings

    async def work(statements: "Statements") -> "Finding":
        async with database(settings) as dsn:
            return await asyncio.to_thread(_compared, dsn, statements)

    settings = Settings()
    statements, note = _statements(settings, checkpoints, key)
    if file is not None:
        finding = compare(DossierSource(file), statements=statements)
    else:
        finding = asyncio.run(work(statements))
    _show(finding, note, as_json=as_json)
    if not finding.is_right:
        raise typer.Exit(Exit.FAILURE)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to write it.")],
) -> None:
    """Write the log as it is stored, with its seals, to a file that can be verified by itself."""
    import asyncio

    from infra.cli.output import say
    from infra.cli.target import database
    from infra.settings import Settings

    async def work() -> int:
        async with database(Settings()) as dsn:
            return await asyncio.to_thread(_written, dsn, file)

    say(f"{asyncio.run(work())} events written to {file}")


def _written(dsn: str, file: Path) -> int:
    import psycopg

    from infra.audit import dossier
    from infra.audit.database import DatabaseSource

    with psycopg.connect(dsn, autocommit=True) as connection:
        source = DatabaseSource(connection)
        with _bar(source.head()) as advance:
            return dossier.write(file, source, progress=advance)


def _compared(dsn: str, statements: "Statements") -> "Finding":
    import psycopg

    from infra.audit.database import DatabaseSource
    from infra.audit.verifying import verify as compare

    with psycopg.connect(dsn, autocommit=True) as connection:
        source = DatabaseSource(connection)
        with _bar(source.head()) as advance:
            return compare(source, statements=statements, progress=advance)


def _statements(
    settings: "Settings", files: list[Path] | None, key: Path | None
) -> tuple["Statements", str]:
    """Return what checkpoints say, and what has to be said of them."""
    from infra.audit.keys import public_file, witness_of
    from infra.audit.statements import Statements

    found = files or [file for file in [settings.checkpoints] if file.exists()]
    if not found:
        return Statements(), "there are no checkpoints here: who rewrote every seal is not found"
    public = key or public_file(settings.signing_key)
    if not public.exists():
        return Statements(found), f"signatures are not checked: there is no {public}"
    return Statements(found, witness_of(public)), ""


def _show(finding: "Finding", note: str, *, as_json: bool) -> None:
    from dataclasses import asdict

    from infra.cli.output import print_json, say

    sealed = finding.sealed
    if as_json:
        places = [asdict(place) for place in finding.bad]
        counts = {"bad": finding.count, "checkpoints": finding.checkpoints}
        print_json(
            {"right": finding.is_right, "sealed": asdict(sealed), **counts, "places": places}
        )
    else:
        for place in finding.bad:
            print(place)
        if finding.count > len(finding.bad):
            print(f"and {finding.count - len(finding.bad)} more places")
        verdict = "as it was sealed" if finding.is_right else f"wrong in {finding.count} places"
        print(
            f"{verdict}: {sealed.events} events up to position {sealed.position}, in {sealed.seals}"
            f" seals; {finding.checkpoints} checkpoints agree; {sealed.unsealed} events are not"
            " sealed yet"
        )
    if note:
        say(note)


@contextmanager
def _bar(head: int) -> Generator[Callable[[int, int], None]]:
    """Give what shows how far it is; without a terminal, nothing is shown."""
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("position {task.completed}"),
        BarColumn(),
        TextColumn("{task.fields[read]} events"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as bars:
        shown = bars.add_task("", total=max(head, 1), read=0)
        yield lambda position, read: bars.update(shown, completed=position, read=read)
