"""``taskloom events``: the record itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.output import AsJson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.policies import Event
    from domain.recorded import Recorded
    from infra.cli.reading import Record

app = typer.Typer(help="The record itself.", no_args_is_help=True)


@app.command()
def tail(
    start: Annotated[
        int | None, typer.Option("--from", min=0, help="Begin after this position.")
    ] = None,
    lines: Annotated[int, typer.Option("-n", min=0, help="Else begin so many from the end.")] = 20,
    type_: Annotated[
        str | None, typer.Option("--type", help="Show these only, such as task.*", metavar="GLOB")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the last events, or all from a position on; --json prints CloudEvents."""
    import asyncio
    from fnmatch import fnmatchcase

    from infra.cli.log import events_of, position_before_last
    from infra.cli.reading import record
    from infra.settings import Settings

    async def work() -> None:
        async with record(Settings()) as opened:
            log = opened.store.log()
            after = position_before_last(opened.dsn, lines) if start is None else start
            while True:
                async for recorded in events_of(log, after=after):
                    after = recorded.position
                    if type_ is None or fnmatchcase(recorded.type, type_):
                        _print(recorded, as_json=as_json)
                if not follow:
                    return
                await log.wait(1.0)

    asyncio.run(work())


@app.command()
def export(
    target: Annotated[
        list[str],
        typer.Argument(metavar="[RUN|PLAN] FILE", help="A plan goes with all of its runs."),
    ],
    everything: Annotated[bool, typer.Option("--all", help="Export the whole log.")] = False,
) -> None:
    """Write events to a file, as CloudEvents, one JSON object a line."""
    import asyncio

    from infra.cli.formats.exports import write
    from infra.cli.log import events_of
    from infra.cli.output import say
    from infra.cli.reading import record
    from infra.settings import Settings

    if len(target) != (1 if everything else 2):
        raise typer.BadParameter("give RUN or PLAN and FILE, or --all and FILE")
    file = Path(target[-1])

    async def work() -> int:
        async with record(Settings()) as opened:
            if everything:
                events = [one async for one in events_of(opened.store.log())]
            else:
                events = list(await _of(opened, target[0]))
            return write(file, events)

    say(f"{asyncio.run(work())} events written to {file}")


async def _of(opened: "Record", stream: str) -> "Sequence[Recorded[Event]]":
    """Return a stream's events; a plan's with those of its runs, as they happened.

    Raises:
        NotFound: There are none.
    """
    from domain.deciders import PLAN, decider_of
    from domain.errors import NotFound
    from domain.runs_of_plans import planning_run_of

    events = list(await opened.store.read(stream))
    if not events:
        raise NotFound(f"nothing is recorded of {stream}")
    if decider_of(stream) is PLAN:
        plan, _ = await opened.store.load(stream)
        for run_id in (planning_run_of(stream), *plan.runs):
            events += await opened.store.read(run_id)
    return sorted(events, key=lambda recorded: recorded.position)


def _print(recorded: "Recorded[Event]", *, as_json: bool) -> None:
    from bus.envelope import encode_recorded
    from projections.describe import describe

    if as_json:
        print(encode_recorded(recorded).decode(), flush=True)
        return
    at = recorded.at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    words = describe(recorded.event)
    print(f"{recorded.position:8}  {at}  {recorded.type:18} {recorded.stream}  {words}", flush=True)
