"""``taskloom projection``: the views, folded from the log."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.output import AsJson

if TYPE_CHECKING:
    from projections.rebuild import Verdict
    from projections.view import AnyView

app = typer.Typer(help="The views, folded from the log.", no_args_is_help=True)

Name = Annotated[str | None, typer.Argument(help="One view; without it, all of them.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the views: how far each one is, and which has stopped and why."""
    import asyncio

    from infra.cli.log import last_position
    from infra.cli.output import print_json, print_table, table
    from infra.cli.reading import record
    from infra.settings import Settings
    from projections.catalog import VIEWS
    from projections.positions import ViewStatus, prepare, statuses

    async def work() -> tuple[int, Sequence[ViewStatus]]:
        async with record(Settings()) as opened, opened.pool.connection() as connection:
            await prepare(connection, VIEWS)
            return last_position(opened.dsn), await statuses(connection, VIEWS)

    head, views = asyncio.run(work())
    if as_json:
        print_json(
            [
                {
                    "view": view.view,
                    "version": view.version,
                    "position": view.position,
                    "behind": max(head - view.position, 0),
                    "failed_at": view.failure.position if view.failure else None,
                    "error": view.failure.error if view.failure else None,
                }
                for view in views
            ]
        )
        return
    made = table("view", ">version", ">position", ">behind", "state")
    for view in views:
        failure = view.failure
        state = f"stopped before {failure.position}: {failure.error}" if failure else "well"
        behind = max(head - view.position, 0)
        made.add_row(view.view, str(view.version), str(view.position), str(behind), state)
    print_table(made)


@app.command()
def rebuild(name: Name = None) -> None:
    """Fold a view anew beside the one in use, and swap the two; readers notice nothing."""
    import asyncio

    from infra.cli.log import last_position
    from infra.cli.output import say
    from infra.cli.reading import record
    from infra.settings import Settings
    from projections.rebuild import rebuild as fold_anew

    views = _chosen(name)

    async def work() -> None:
        async with record(Settings()) as opened:
            with _bars(last_position(opened.dsn)) as advance:
                for view in views:
                    position = await fold_anew(
                        view, log=opened.store.log(), pool=opened.pool, progress=advance
                    )
                    say(f"{view.name} is rebuilt up to position {position}")

    asyncio.run(work())


@app.command()
def verify(name: Name = None, as_json: AsJson = False) -> None:
    """Fold the log again and compare row by row; exit 1 where a view differs from the log."""
    import asyncio

    from infra.cli.exits import Exit
    from infra.cli.log import last_position
    from infra.cli.reading import record
    from infra.settings import Settings
    from projections.positions import prepare
    from projections.rebuild import verify as fold_again

    views = _chosen(name)

    async def work() -> "list[Verdict]":
        async with record(Settings()) as opened:
            async with opened.pool.connection() as connection:
                await prepare(connection, views)
            with _bars(last_position(opened.dsn)) as advance:
                return [
                    await fold_again(
                        view, log=opened.store.log(), pool=opened.pool, progress=advance
                    )
                    for view in views
                ]

    verdicts = asyncio.run(work())
    _show(verdicts, as_json=as_json)
    if not all(verdict.is_right for verdict in verdicts):
        raise typer.Exit(Exit.FAILURE)


def _chosen(name: str | None) -> "Sequence[AnyView]":
    from domain.errors import NotFound
    from projections.catalog import VIEWS

    if name is None:
        return VIEWS
    found = [view for view in VIEWS if view.name == name]
    if not found:
        known = ", ".join(view.name for view in VIEWS)
        raise NotFound(f"there is no view {name}; there are {known}")
    return found


def _show(verdicts: "Sequence[Verdict]", *, as_json: bool) -> None:
    from infra.cli.output import print_json, print_table, table

    if as_json:
        print_json(
            [
                {
                    "view": verdict.view,
                    "position": verdict.position,
                    "rows": verdict.rows,
                    "different": verdict.different,
                    "examples": [
                        {"key": one.key, "columns": one.columns} for one in verdict.examples
                    ],
                }
                for verdict in verdicts
            ]
        )
        return
    made = table("view", ">position", ">rows", "verdict")
    for verdict in verdicts:
        examples = "; ".join(
            f"{'/'.join(map(str, one.key))}: {', '.join(one.columns)}"
            for one in verdict.examples[:3]
        )
        said = "as the log says" if verdict.is_right else f"{verdict.different} differ: {examples}"
        made.add_row(verdict.view, str(verdict.position), str(verdict.rows), said)
    print_table(made)


@contextmanager
def _bars(head: int) -> Generator[Callable[[str, int, int], None]]:
    """Give what shows how far each view is; without a terminal, nothing is shown."""
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn

    columns = (TextColumn("{task.description:12}"), BarColumn(), TextColumn("{task.fields[read]}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as bars:
        known: dict[str, TaskID] = {}

        def advance(view: str, position: int, read: int) -> None:
            if view not in known:
                known[view] = bars.add_task(view, total=max(head, 1), read="")
            bars.update(known[view], completed=position, read=f"{read} events")

        yield advance
