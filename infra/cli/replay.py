"""``taskloom replay``: what happened, event by event, and what was true after each."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.output import AsJson

if TYPE_CHECKING:
    from domain.policies import Event
    from domain.recorded import Recorded
    from projections.replay import Step


def replay(
    stream: Annotated[
        str | None,
        typer.Argument(metavar="RUN|PLAN", help="Its id; with --file the first one of the file."),
    ] = None,
    until: Annotated[
        int | None, typer.Option(min=1, help="Stop after the event with this number.")
    ] = None,
    type_: Annotated[
        str | None, typer.Option("--type", help="Show these only, such as task.*", metavar="GLOB")
    ] = None,
    step: Annotated[bool, typer.Option("--step", help="Wait for Enter after each event.")] = False,
    as_json: AsJson = False,
    file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Read an export; needs no services."),
    ] = None,
) -> None:
    """Step through a run, a plan or an agent: each event, what it changed, and the state after."""
    from fnmatch import fnmatchcase
    from itertools import islice

    from projections.replay import steps

    if stream is None and file is None:
        raise typer.BadParameter("say which run or plan, or give a --file", param_hint="RUN|PLAN")
    events = _from_file(file, stream) if file is not None else _from_record(str(stream))
    for number, one in enumerate(islice(steps(events), until), start=1):
        if type_ is not None and not fnmatchcase(one.recorded.type, type_):
            continue
        _print(one, number, as_json=as_json)
        if step and not as_json and number < len(events):
            input()


def _from_record(stream: str) -> "Sequence[Recorded[Event]]":
    import asyncio

    from domain.deciders import decider_of
    from infra.cli.reading import record
    from infra.settings import Settings

    decider_of(stream)  # refuses what can be no stream

    async def read() -> "Sequence[Recorded[Event]]":
        async with record(Settings()) as opened:
            return await opened.store.read(stream)

    events = asyncio.run(read())
    if not events:
        raise _unknown(stream, "nothing is recorded of it")
    return events


def _from_file(file: Path, stream: str | None) -> "Sequence[Recorded[Event]]":
    from infra.cli.formats.exports import read

    events = read(file)
    wanted = stream or (events[0].stream if events else "")
    found = [recorded for recorded in events if recorded.stream == wanted]
    if not found:
        raise _unknown(wanted or "anything", f"{file} has no event of it")
    return found


def _unknown(stream: str, why: str) -> Exception:
    from domain.errors import NotFound

    return NotFound(f"{stream} cannot be replayed: {why}")


def _print(step: "Step", number: int, *, as_json: bool) -> None:
    from infra.cli.output import print_json_line
    from projections.replay import describe

    recorded = step.recorded
    state = _state(step.state)
    if as_json:
        print_json_line(
            {
                "number": number,
                "position": recorded.position,
                "stream": recorded.stream,
                "type": recorded.type,
                "at": recorded.at,
                "actor": recorded.actor,
                "event": recorded.event.model_dump(mode="json", exclude={"type"}),
                "difference": step.difference,
                "state": state,
            }
        )
        return
    at = recorded.at.strftime("%H:%M:%S.%f")[:-3]
    print(f"{number:6}  {at}  {recorded.type:16} {describe(recorded.event)}")
    print(f"{'':6}  {'':12}  {step.difference}")
    print(f"{'':6}  {'':12}  = {', '.join(f'{name} {value}' for name, value in state.items())}")


def _state(state: object) -> dict[str, Any]:
    """Return the state in short: counts instead of tasks, so that each line costs the same."""
    from domain.plan import Plan
    from domain.run import Run

    if isinstance(state, Run):
        return {
            "status": state.status,
            "tasks": len(state.tasks),
            "ended": len(state.tasks) - state.open,
            "not well": state.unhappy,
        }
    if isinstance(state, Plan):
        return {
            "status": state.status,
            "revision": state.revision,
            "tasks": len(state.tasks),
            "runs": len(state.runs),
        }
    names = ("lifecycle", "health", "is_registered")
    return {name: getattr(state, name) for name in names}
